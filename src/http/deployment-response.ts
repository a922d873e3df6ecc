// The response with a deployment: its report, or a problem document that includes the report.

import type { TaskEvidence, Verdict } from '../deployment/verdict.ts'
import { DeployerError, type ProblemCode } from '../errors.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import { problemResponse } from './problem.ts'

/** A deployment as callers see it: in a response, in a problem document, in the last event of a stream. */
export interface DeploymentReport {
  readonly verdict: Verdict
  readonly deploymentId: string
  readonly service: string
  readonly serviceId: string
  readonly image: string
  readonly resolved: string
  readonly previous: string
  readonly startedAt: string
  readonly endedAt?: string
  readonly message?: string
  readonly warnings?: readonly string[]
  /** The failed tasks; absent where none failed. */
  readonly tasks?: readonly TaskEvidence[]
  /** Why `tasks` has no log lines, where that depends on the image. */
  readonly logsWithheld?: string
}

/** The parts of a response besides the deployment. */
export interface DeploymentResponseOptions {
  /** The path of the deployment, for `Location`. */
  readonly location: string
  /** How to report a rollout in progress; `rollout-pending`: the caller has waited long enough. */
  readonly verdictBeforeEnd: 'accepted' | 'pending' | 'rollout-pending'
  readonly warnings?: readonly string[]
}

// The next request waits too, so no longer pause is needed.
const RETRY_AFTER_SECONDS = 1

function createReport(
  known: KnownDeployment,
  { verdictBeforeEnd, ...options }: DeploymentResponseOptions,
): DeploymentReport {
  const { id, deployment } = known
  const { service, serviceId, image, resolved, previous, startedAt } = deployment
  const outcome = outcomeOf(known)
  const isNew = verdictBeforeEnd === 'accepted'
  const warnings = [...(options.warnings ?? []), ...(outcome?.warnings ?? [])]
  return {
    verdict: isNew ? 'accepted' : 'pending',
    ...{ deploymentId: id, service, serviceId, image, resolved, previous, startedAt },
    ...(!isNew && outcome === undefined && 'watch' in known
      ? { message: known.watch.progress().message }
      : {}),
    ...outcome,
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

/**
 * Creates the response with a deployment.
 *
 * @param known The deployment.
 * @param options Its path, how to report a rollout in progress, and warnings.
 * @returns 200 with the report, or a problem document that includes the report when the deployment has
 *   failed or the caller has waited for its end in vain.
 */
export function deploymentResponse(
  known: KnownDeployment,
  options: DeploymentResponseOptions,
): Response {
  const report = createReport(known, options)
  const headers = { Location: options.location }
  const error =
    report.verdict === 'pending' && options.verdictBeforeEnd === 'rollout-pending'
      ? pendingError(report)
      : verdictError(report)
  // Bun would add a charset, which application/json does not have (RFC 8259 section 11).
  const jsonHeaders = { ...headers, 'Content-Type': 'application/json' }
  return error === undefined
    ? Response.json(report, { headers: jsonHeaders })
    : problemResponse(error, headers)
}

interface Failure {
  readonly code: ProblemCode
  readonly reason: string
  readonly remedy: string
}

const FAILURES: Readonly<Record<Verdict, Failure | undefined>> = {
  accepted: undefined,
  pending: undefined,
  unchanged: undefined,
  converged: undefined,
  'rolled-back': {
    code: 'rollout-failed',
    reason: 'the engine rolled it back',
    remedy: 'deploy an image that runs',
  },
  paused: {
    code: 'rollout-failed',
    reason: 'the engine paused it',
    remedy:
      'deploy an image that runs, return to the previous one with "docker service rollback", or send the same image with "resume": true to continue',
  },
  failed: { code: 'rollout-failed', reason: 'it failed', remedy: 'deploy an image that runs' },
  'timed-out': {
    code: 'rollout-failed',
    reason: 'it took too long',
    remedy:
      'the swarm still tries to start the tasks: fix what they wait for, or deploy another image',
  },
  superseded: {
    code: 'superseded',
    reason: 'a later deployment superseded it',
    remedy: 'check that one instead',
  },
  removed: {
    code: 'service-removed',
    reason: 'the service was removed',
    remedy: 'create the service first',
  },
  unknown: {
    code: 'verdict-unknown',
    reason: 'its outcome cannot be determined',
    remedy: 'check the current state of the service with GET /service/<name>',
  },
}

function verdictError(report: DeploymentReport): DeployerError | undefined {
  const { verdict, image, service, message = '', tasks = [] } = report
  const failure = FAILURES[verdict]
  if (failure === undefined) {
    return undefined
  }
  const { code, reason, remedy } = failure
  const why = message === '' ? '' : ` (${message})`
  const seeTasks = tasks.length === 0 ? '' : 'see "tasks" for what failed; '
  const text = `Cannot deploy ${image} to service "${service}": ${reason}${why}; ${seeTasks}${remedy}`
  return new DeployerError(code, text, { members: { ...report } })
}

function pendingError(report: DeploymentReport): DeployerError {
  const text = `No verdict yet for ${report.image} on service "${report.service}": ${report.message ?? 'the rollout is in progress'}; send a GET request to the Location`
  return new DeployerError('rollout-pending', text, {
    members: { ...report },
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}
