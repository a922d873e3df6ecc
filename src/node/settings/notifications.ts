// Creates the notifications of the process from its settings.

import type { Logger } from '../../logger.ts'
import type { DeploymentEventName } from '../../notification/deployment-event.ts'
import { createOutbox, type Outbox } from '../../notification/outbox.ts'
import type { Spool } from '../../notification/spool.ts'
import { createSpoolStore } from '../spool/spool-store.ts'
import { createDestinations } from './destinations.ts'
import type { Settings } from './settings.ts'

/** The outbox and what belongs to it. */
export interface Notifications {
  readonly outbox: Outbox
  /** The events that at least one destination receives. */
  readonly events: readonly DeploymentEventName[]
  /** Keeps the verdicts that are still to come over a restart; undefined: they are lost. */
  readonly spool: Spool | undefined
  /**
   * Releases SPOOL_DIR for the next process. Call it after the outbox is closed.
   *
   * @param timeoutMs How long it may take, in milliseconds.
   */
  release(timeoutMs: number): Promise<void>
}

/**
 * Creates the notifications, and logs their destinations and events.
 *
 * @param settings The destinations, and the directory that keeps messages.
 * @param logger Logs messages that are not delivered or would be lost in a restart.
 * @returns The notifications; undefined if none are configured.
 */
export function createNotifications(
  { notify, spoolDir }: Pick<Settings, 'notify' | 'spoolDir'>,
  logger: Logger,
): Notifications | undefined {
  if (notify.length === 0) {
    logger.warn({}, 'no notifications are configured: NOTIFY_FLAGS is not set')
    return undefined
  }
  const destinations = createDestinations(notify)
  logger.info(
    { destinations: destinations.map(({ name, events }) => ({ name, events })), spoolDir },
    'notifications are configured',
  )
  // A directory that cannot be used now may be usable later, and must not prevent deployments.
  const parts = ['messages', 'deployments'] as const
  const store = spoolDir === undefined ? undefined : createSpoolStore(spoolDir, { logger, parts })
  const outbox = createOutbox({
    destinations,
    logger,
    ...(store === undefined ? {} : { spool: store.spools.messages }),
  })
  const events = [...new Set(destinations.flatMap((destination) => destination.events))]
  const release = async (timeoutMs: number): Promise<void> => store?.close(timeoutMs)
  return { outbox, events, spool: store?.spools.deployments, release }
}
