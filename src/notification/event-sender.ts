// Passes events to the notifier, with a time limit.

import { waitFor } from '../async/wait-for.ts'
import { endVerdicts } from '../deployment/verdict.ts'
import type { Logger } from '../logger.ts'
import { errorMessage } from '../text/error-message.ts'
import type { DeploymentEvent, DeploymentEventName } from './deployment-event.ts'
import type { Notifier } from './notifier.ts'

/** Passes events to a notifier. */
export interface EventSender {
  /** Whether the notifier receives any event of how a deployment ended. */
  readonly wantsEnd: boolean
  /** Whether the notifier receives events of this name. */
  wants(name: DeploymentEventName): boolean
  /**
   * Passes an event to the notifier if it wants it. A failure is logged; it never rejects.
   *
   * @param event The event.
   * @param keep Keeps an event that the notifier did not take for the next process, and returns whether
   *   it could.
   * @returns False when the event is kept.
   */
  send(event: DeploymentEvent, keep: () => Promise<boolean>): Promise<boolean>
}

/** What a sender works with. */
export interface EventSenderOptions {
  /** The names of the events that the notifier receives. */
  readonly notifierEvents: readonly DeploymentEventName[]
  readonly logger: Logger
  /** Ends the wait for the notifier. */
  readonly signal: AbortSignal
}

const NOTIFIER_TIMEOUT_MS = 60_000

/**
 * Creates a sender.
 *
 * @param notifier Receives the events.
 * @param options What it receives, the logger, and a signal.
 * @returns The sender.
 */
export function createEventSender(
  notifier: Notifier,
  { notifierEvents, logger, signal }: EventSenderOptions,
): EventSender {
  const wanted = new Set(notifierEvents)

  return {
    wantsEnd: endVerdicts.some((verdict) => wanted.has(verdict)),
    wants: (name) => wanted.has(name),

    async send(event, keep) {
      try {
        if (wanted.has(event.event)) {
          await withTimeout(async () => notifier(event), signal)
        }
      } catch (error) {
        const isKept = await keep()
        const message = isKept
          ? 'message not delivered; it is kept, and sent again at the next start'
          : 'message not delivered'
        logger.error({ ...event, reason: errorMessage(error) }, message)
        return !isKept
      }
      return true
    },
  }
}

/** A notifier that never resolves must not hold up later events. After the signal nothing follows. */
async function withTimeout(notify: () => Promise<void>, signal: AbortSignal): Promise<void> {
  let isDone = false
  const done = notify().finally(() => {
    isDone = true
  })
  await waitFor(done, { timeoutMs: NOTIFIER_TIMEOUT_MS, signals: [signal], isBackground: true })
  if (!isDone && !signal.aborted) {
    throw new Error(`the notifier did not end within ${NOTIFIER_TIMEOUT_MS} ms`)
  }
  await done
}
