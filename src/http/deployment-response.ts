// What a caller is told of a deployment, and with which status.

import type { TaskEvidence, Verdict } from '../deployment/verdict.ts'
import { DeployerError, type ProblemCode } from '../errors.ts'
import { type KnownDeployment, outcomeOf } from '../rollout/known-deployment.ts'
import { problemResponse } from './problem.ts'

/** A deployment as callers see it: in a plain answer, in a problem document, in the last event. */
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
  /** The failed tasks; only where something failed. */
  readonly tasks?: readonly TaskEvidence[]
  /** Why `tasks` has no log lines, where that depends on the image. */
  readonly logsWithheld?: string
}

/** What an answer needs besides the deployment. */
export interface DeploymentResponseOptions {
  /** The path of the deployment, for `Location`. */
  readonly location: string
  /** What to call a rollout that is under way; `rollout-pending`: the caller's time is up. */
  readonly underWay: 'accepted' | 'pending' | 'rollout-pending'
  readonly warnings?: readonly string[]
}

// How soon to ask again: the wait itself is the pause.
const RETRY_AFTER_SECONDS = 1

function report(
  known: KnownDeployment,
  { underWay, warnings = [] }: DeploymentResponseOptions,
): DeploymentReport {
  const { id, deployment } = known
  const { service, serviceId, image, resolved, previous, startedAt } = deployment
  const outcome = outcomeOf(known)
  const isNew = underWay === 'accepted'
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
 * Answers with a deployment.
 *
 * @param known The deployment.
 * @param options Where it is, and what the caller waits for.
 * @returns 200 while all is well; otherwise a problem document with all of the report.
 */
export function deploymentResponse(
  known: KnownDeployment,
  options: DeploymentResponseOptions,
): Response {
  const told = report(known, options)
  const headers = { Location: options.location }
  const error =
    told.verdict === 'pending' && options.underWay === 'rollout-pending'
      ? pendingError(told)
      : verdictError(told)
  // Bun would add a charset, which application/json has none of (RFC 8259 section 11).
  const jsonHeaders = { ...headers, 'Content-Type': 'application/json' }
  return error === undefined
    ? Response.json(told, { headers: jsonHeaders })
    : problemResponse(error, headers)
}

interface Failure {
  readonly code: ProblemCode
  readonly reason: string
  readonly remedy: string
}

const SEE_TASKS = 'see "tasks" for what failed, and deploy an image that runs'

const FAILURES: Readonly<Record<Verdict, Failure | undefined>> = {
  accepted: undefined,
  pending: undefined,
  unchanged: undefined,
  converged: undefined,
  'rolled-back': {
    code: 'rollout-failed',
    reason: 'the engine rolled it back',
    remedy: SEE_TASKS,
  },
  paused: {
    code: 'rollout-failed',
    reason: 'the engine paused it',
    remedy:
      'see "tasks" for what failed; deploy an image that runs, go back with "docker service rollback", or send the same image with "resume": true to go on',
  },
  failed: { code: 'rollout-failed', reason: 'it failed', remedy: SEE_TASKS },
  'timed-out': {
    code: 'rollout-failed',
    reason: 'it took too long',
    remedy: 'the swarm still tries: give it what it waits for, or deploy another image',
  },
  superseded: {
    code: 'superseded',
    reason: 'a later one took its place',
    remedy: 'look at that one',
  },
  removed: {
    code: 'service-removed',
    reason: 'the service was removed',
    remedy: 'create it again first',
  },
  unknown: {
    code: 'verdict-unknown',
    reason: 'nobody can know any more what became of it',
    remedy: 'look at the service: GET /service/<name>',
  },
}

function verdictError(told: DeploymentReport): DeployerError | undefined {
  const { verdict, image, service, message = '' } = told
  const failure = FAILURES[verdict]
  if (failure === undefined) {
    return undefined
  }
  const { code, reason, remedy } = failure
  const why = message === '' ? '' : ` (${message})`
  const text = `Cannot deploy ${image} to service "${service}": ${reason}${why}; ${remedy}`
  return new DeployerError(code, text, { members: { ...told } })
}

function pendingError(told: DeploymentReport): DeployerError {
  const text = `Cannot tell yet what becomes of ${told.image} on service "${told.service}": ${told.message ?? 'the rollout is under way'}; ask again at the Location`
  return new DeployerError('rollout-pending', text, {
    members: { ...told },
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}
