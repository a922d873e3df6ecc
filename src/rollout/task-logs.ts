// The evidence of a failed rollout: its failed tasks, with the last lines that they wrote.

import type { FailedTask } from '../convergence/evidence.ts'
import type { Outcome, TaskEvidence } from '../deployment/verdict.ts'
import type { Service } from '../swarm/service.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { reasonToWithholdLogs } from './log-access.ts'

/** What the evidence is made from. */
export interface TaskEvidenceOptions {
  /** The service as it is now; undefined: not read. */
  readonly service: Service | undefined
  /** The image of the deployment, which is also that of its failed tasks. */
  readonly image: string
  readonly tools: { readonly swarm: Swarm; readonly evidenceLogs: boolean }
}

const LINES = 20
// Up to a thousand verdicts are kept, with up to ten logs each.
const MAX_LENGTH = 2048

/**
 * Adds the last log lines to failed tasks, where the caller may see them. Whether the caller may is
 * decided by the service itself: the previous image in a deployment's ID proves nothing.
 *
 * @param failed The failed tasks of a rollout.
 * @param options The service, and where the logs are.
 * @returns The tasks, and why they have no log lines where these are withheld.
 */
export async function taskEvidence(
  failed: readonly FailedTask[],
  { service, image, tools }: TaskEvidenceOptions,
): Promise<Pick<Outcome, 'tasks' | 'logsWithheld'>> {
  if (!tools.evidenceLogs || service === undefined) {
    return { tasks: failed }
  }
  const logsWithheld = reasonToWithholdLogs(service.Spec, image)
  if (logsWithheld === undefined) {
    return { tasks: await Promise.all(failed.map((task) => withLog(task, tools.swarm))) }
  }
  return { tasks: failed, ...(failed.some(mayHaveLog) ? { logsWithheld } : {}) }
}

/** A log that cannot be read is left out. */
async function withLog(task: FailedTask, swarm: Swarm): Promise<TaskEvidence> {
  if (!mayHaveLog(task)) {
    return task
  }
  try {
    const log = await swarm.readTaskLog(task.taskId, LINES)
    return log === '' ? task : { ...task, log: lastPart(log) }
  } catch {
    return task
  }
}

/** A task without an exit code had no container, and so it has no log. */
function mayHaveLog({ exitCode }: FailedTask): boolean {
  return exitCode !== undefined
}

/** Whole lines, unless there is only one. */
function lastPart(log: string): string {
  const part = log.slice(-MAX_LENGTH)
  return part.length < log.length ? part.replace(/^[^\n]*\n(?=.)/s, '') : part
}
