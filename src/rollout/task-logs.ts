// What the failed tasks of a rollout wrote last.

import type { FailedTask } from '../convergence/evidence.ts'
import type { TaskEvidence } from '../deployment/verdict.ts'
import type { Swarm } from '../swarm/swarm.ts'

const LINES = 20
// A thousand verdicts are remembered, with up to ten logs each.
const MAX_LENGTH = 2048

/**
 * Reads the last lines of each failed task that had a container.
 *
 * @param failed The failed tasks.
 * @param swarm Where their logs are.
 * @returns The same tasks, with a log where there is one; a log that cannot be read is left out.
 */
export function readLogs(
  failed: readonly FailedTask[],
  swarm: Swarm,
): Promise<readonly TaskEvidence[]> {
  return Promise.all(
    failed.map(async (task) => {
      const log = mayHaveLog(task)
        ? await swarm.readTaskLog(task.taskId, LINES).catch(() => '')
        : ''
      return log === '' ? task : { ...task, log: lastPart(log) }
    }),
  )
}

/**
 * Whether a task may have written anything.
 *
 * @param task A failed task.
 * @returns False for one without an exit code: it had no container, and so there is no log.
 */
export function mayHaveLog({ exitCode }: FailedTask): boolean {
  return exitCode !== undefined
}

/** Whole lines, unless there is only one. */
function lastPart(log: string): string {
  const part = log.slice(-MAX_LENGTH)
  return part.length < log.length ? part.replace(/^[^\n]*\n(?=.)/s, '') : part
}
