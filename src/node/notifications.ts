// The notifications of a process: its destinations, and where messages wait for them.

import type { DeploymentEventName } from '../deployment-event.ts'
import { createOutbox, type Outbox } from '../outbox.ts'
import type { Logger, Spool } from '../ports.ts'
import { reasonOf } from '../reason.ts'
import { createDestinations } from './destinations.ts'
import type { Settings } from './env.ts'
import { createDirectorySpool } from './spool.ts'
import { checkSpoolDirectory } from './spool-directory.ts'

/** What tells of deployments. */
export interface Notifications {
  readonly outbox: Outbox
  /** What at least one destination wants to hear of. */
  readonly events: readonly DeploymentEventName[]
  /** Keeps what is still to be told of deployments; undefined: a restart forgets it. */
  readonly spool: Spool | undefined
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
  const spool = spoolDir === undefined ? undefined : openSpool(spoolDir, logger)
  const outbox = createOutbox({
    ...{ destinations, logger },
    ...(spool === undefined ? {} : { spool: spool('messages') }),
  })
  const events = [...new Set(destinations.flatMap((destination) => destination.events))]
  return { outbox, events, spool: spool?.('deployments') }
}

/** A directory that cannot be used now may be usable later, and must not keep anybody from deploying. */
function openSpool(directory: string, logger: Logger): (part: string) => Spool {
  try {
    checkSpoolDirectory(directory)
  } catch (error) {
    logger.error({ directory, reason: reasonOf(error) }, 'SPOOL_DIR cannot be used for now')
  }
  return (part) => createDirectorySpool(`${directory}/${part}`, { logger })
}
