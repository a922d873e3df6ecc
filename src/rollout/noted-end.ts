// The end of a deployment as another process noted it in the history of its service.

import type { Deployment } from '../deployment/deployment.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import { outcomeOfEntry } from '../history/noted-deployment.ts'
import type { End } from './judgement.ts'

/** What was noted, and when it counts. */
export interface NotedEndOptions {
  /** The histories; undefined: none is kept. */
  readonly history: Pick<DeploymentHistory, 'read'> | undefined
  /** Whether the deployment may have ended before it was judged. */
  readonly mayHaveEnded: boolean
}

/**
 * Asks the history how a deployment ended, where the service itself does not show it any more: it has been
 * written again or removed, or its tasks prove nothing. Where it may have ended before, the history is
 * always asked: the service may show another state since. A verdict that another process has found is final.
 *
 * @param deployment The deployment.
 * @param judged What the service shows.
 * @param options The histories, and whether it may have ended before.
 * @returns The noted end; undefined where the judgement needs no history, or the history has no verdict.
 */
export async function notedEnd(
  deployment: Deployment,
  judged: End,
  { history, mayHaveEnded }: NotedEndOptions,
): Promise<End | undefined> {
  const { serviceId, versionIndex, startedAt, unwritten } = deployment
  const isDoubtful = mayHaveEnded || LOST.includes(judged.verdict)
  if (history === undefined || judged.isRecorded || !isDoubtful || unwritten !== undefined) {
    return undefined
  }
  const entries = await history.read(serviceId)
  const entry = entries.find(
    (one) => one.versionIndex === versionIndex && one.startedAt === startedAt,
  )
  const outcome = entry && outcomeOfEntry(entry)
  return outcome && { kind: 'end', message: NOTED, ...outcome }
}

const LOST: readonly string[] = ['superseded', 'unknown', 'removed']
const NOTED = 'The history of the service has this verdict'
