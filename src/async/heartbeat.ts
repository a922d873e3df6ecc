// A heartbeat, which shows whether background work can still run. A runtime such as workerd ends a
// request's timers and connections with the request, without an error: work that was started by that
// request then stops for ever.

import { unref } from './unref.ts'

/** The heartbeat of background work. */
export interface Heartbeat {
  /**
   * Checks whether the timer still fires. Where it has not fired for some time, the event loop may have
   * been blocked: then an overdue timer fires before a new one.
   *
   * @returns False where the runtime has ended the timer.
   */
  isAlive(): Promise<boolean>
  /** Ends the heartbeat. */
  stop(): void
}

const INTERVAL_MS = 1000
const MAX_SILENCE_MS = 2500
const CONFIRM_MS = 50

/**
 * Starts a heartbeat with a timer of the current request.
 *
 * @param tick Runs at each beat, once a second.
 * @returns The heartbeat. Its timer does not keep a process running.
 */
export function startHeartbeat(tick: () => void = () => {}): Heartbeat {
  let beats = 0
  let latestAt = performance.now()
  const timer = setInterval(() => {
    beats += 1
    latestAt = performance.now()
    tick()
  }, INTERVAL_MS)
  unref(timer)
  return {
    async isAlive() {
      if (performance.now() - latestAt < MAX_SILENCE_MS) {
        return true
      }
      const before = beats
      await new Promise((resolve) => setTimeout(resolve, CONFIRM_MS))
      return beats !== before
    },

    stop: () => clearInterval(timer),
  }
}
