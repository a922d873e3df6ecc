// Judges a deployment that is being replaced, on its last state.

import type { Deployment } from '../deployment/deployment.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { Service } from '../swarm/service.ts'
import { type Circumstances, type End, judgeDeployment } from './judgement.ts'

/** The last state of a deployment: its service at the version that was replaced. */
export interface LastState {
  readonly service: Service
  /** All tasks of the service, read before the replacing write was sent. */
  readonly tasks: readonly Task[]
  /** The nodes of the swarm. */
  readonly nodes: readonly Node[]
  /** The image that replaces it, as the caller sent it. */
  readonly replacedBy: string
}

/**
 * Judges a deployment that is being replaced.
 *
 * @param deployment The deployment.
 * @param state Its last state.
 * @param circumstances What else is known.
 * @returns Its end; `superseded` where it was still in progress.
 */
export function judgePredecessor(
  deployment: Deployment,
  { replacedBy, ...state }: LastState,
  circumstances: Omit<Circumstances, 'startedMs'>,
): End {
  const startedMs = Date.parse(deployment.startedAt)
  const snapshot = { ...state, error: undefined }
  const judgement = judgeDeployment(deployment, snapshot, { ...circumstances, startedMs })
  return judgement.kind === 'end'
    ? judgement
    : {
        kind: 'end',
        verdict: 'superseded',
        message: `${replacedBy} was deployed before this one was done`,
      }
}
