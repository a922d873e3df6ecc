// The outcome of a deployment that another process noted, with what the swarm still shows of it.

import { evidence } from '../convergence/evidence.ts'
import { type Deployment, rolloutOf } from '../deployment/deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { DeployerError } from '../errors.ts'
import type { NodeList } from '../swarm/node-list.ts'
import type { Service } from '../swarm/service.ts'
import { allowsUpdates } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { taskEvidence } from './task-logs.ts'

/** What evidence is read with. */
export interface NotedOutcomeTools {
  readonly swarm: Swarm
  readonly nodes: NodeList
  /** Whether the evidence contains the last log lines of the failed tasks. */
  readonly evidenceLogs: boolean
}

/** Why nothing is shown of the tasks of a service. */
export const HIDDEN = 'The service does not allow updates, so its tasks are not shown'

const FAILED: readonly string[] = ['rolled-back', 'paused', 'failed', 'timed-out']
const NODES_MAX_AGE_MS = 2000

/**
 * Adds the failed tasks to a noted outcome: a history has neither tasks nor logs, but the swarm keeps some
 * of the tasks.
 *
 * @param deployment The deployment.
 * @param noted Its outcome in the history.
 * @param options Its service as it is now, and what reads the tasks.
 * @returns The outcome, with the failed tasks that are left, and without any detail where the service does
 *   not allow updates.
 */
export async function withNotedEvidence(
  deployment: Deployment,
  noted: Outcome,
  { service, tools }: { readonly service: Service; readonly tools: NotedOutcomeTools },
): Promise<Outcome> {
  if (!FAILED.includes(noted.verdict)) {
    return noted
  }
  if (!allowsUpdates(service.Spec)) {
    return { ...noted, message: HIDDEN }
  }
  try {
    const [tasks, nodes] = await Promise.all([
      tools.swarm.listTasks(service.ID),
      tools.nodes.read(NODES_MAX_AGE_MS),
    ])
    const failed = evidence(rolloutOf(deployment), tasks, { nodes })
    const image = deployment.resolved
    return failed.length === 0
      ? noted
      : { ...noted, ...(await taskEvidence(failed, { service, image, tools })) }
  } catch (error) {
    if (error instanceof DeployerError) {
      return noted
    }
    throw error
  }
}
