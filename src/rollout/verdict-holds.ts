// Holds back the verdicts of a service's rollouts while an update of the service is being sent: if it
// succeeds, they end in the state that it replaced.

import { createDeferred } from '../async/deferred.ts'
import { waitFor } from '../async/wait-for.ts'

/** The holds of all services. */
export interface VerdictHolds {
  /**
   * Holds back the verdicts of a service. A hold ends by itself after a minute, when every update has
   * ended: on workerd, a request can end before it releases its hold.
   *
   * @param serviceId The service's full ID.
   * @returns A function that releases the hold.
   */
  hold(serviceId: string): () => void
  /**
   * Whether the verdicts of a service are held back.
   *
   * @param serviceId The service's full ID.
   */
  isHeld(serviceId: string): boolean
  /**
   * Waits until nothing holds back the verdicts of a service.
   *
   * @param serviceId The service's full ID.
   */
  released(serviceId: string): Promise<void>
}

interface Hold {
  readonly untilMs: number
  readonly ended: Promise<void>
}

const LONGEST_HOLD_MS = 60_000

/**
 * Creates the holds.
 *
 * @returns The holds; nothing is held back.
 */
export function createVerdictHolds(): VerdictHolds {
  const holds = new Map<string, readonly Hold[]>()

  function current(serviceId: string): readonly Hold[] {
    const all = holds.get(serviceId) ?? []
    return all.filter(({ untilMs }) => performance.now() < untilMs)
  }

  return {
    hold(serviceId) {
      const [ended, resolve] = createDeferred<void>()
      const hold = { untilMs: performance.now() + LONGEST_HOLD_MS, ended }
      holds.set(serviceId, [...current(serviceId), hold])
      return () => {
        const others = current(serviceId).filter((one) => one !== hold)
        if (others.length === 0) {
          holds.delete(serviceId)
        } else {
          holds.set(serviceId, others)
        }
        resolve()
      }
    },

    isHeld: (serviceId) => current(serviceId).length > 0,

    async released(serviceId) {
      for (const { ended, untilMs } of current(serviceId)) {
        const timeoutMs = untilMs - performance.now()
        await waitFor(ended, { timeoutMs, signals: [], isBackground: true })
      }
    },
  }
}
