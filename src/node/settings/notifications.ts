// The notifications of a process: its destinations, and where messages wait for them.

import type { Logger } from '../../logger.ts'
import type { DeploymentEventName } from '../../notification/deployment-event.ts'
import { createOutbox, type Outbox } from '../../notification/outbox.ts'
import type { Spool } from '../../notification/spool.ts'
import { createSpoolStore } from '../spool/spool-store.ts'
import { createDestinations } from './destinations.ts'
import type { Settings } from './settings.ts'

/** What tells of deployments. */
export interface Notifications {
  readonly outbox: Outbox
  /** What at least one destination wants to hear of. */
  readonly events: readonly DeploymentEventName[]
  /** Keeps what is still to be told of deployments; undefined: a restart forgets it. */
  readonly spool: Spool | undefined
  /**
   * Gives SPOOL_DIR up for the next process, once the outbox is closed.
   *
   * @param timeoutMs The longest that it may take, in milliseconds.
   */
  release(timeoutMs: number): Promise<void>
}

/**
 * Makes the notifications that the settings ask for.
 *
 * @param settings The destinations, and where messages are kept.
 * @param logger Is told what is not delivered, and what will not outlive a restart.
 * @returns The notifications, at work; undefined when nobody is to be notified.
 */
export function createNotifications(
  { notify, spoolDir }: Pick<Settings, 'notify' | 'spoolDir'>,
  logger: Logger,
): Notifications | undefined {
  if (notify.length === 0) {
    logger.warn({}, 'NOTIFY_FLAGS is not set: nobody is notified')
    return undefined
  }
  const destinations = createDestinations(notify)
  // A directory that cannot be used now may be usable later, and must not keep anybody from deploying.
  const parts = ['messages', 'deployments'] as const
  const store = spoolDir === undefined ? undefined : createSpoolStore(spoolDir, { logger, parts })
  const outbox = createOutbox({
    ...{ destinations, logger },
    ...(store === undefined ? {} : { spool: store.spools.messages }),
  })
  const events = [...new Set(destinations.flatMap((destination) => destination.events))]
  const release = async (timeoutMs: number): Promise<void> => store?.close(timeoutMs)
  return { outbox, events, spool: store?.spools.deployments, release }
}
