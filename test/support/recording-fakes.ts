// Fakes of the notifier and the logger that record their calls.

import type { Logger } from '../../src/logger.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import type { Notifier } from '../../src/notification/notifier.ts'

export interface RecordingNotifier {
  readonly notify: Notifier
  readonly events: readonly DeploymentEvent[]
  /** The `accepted` events. */
  accepted(): readonly DeploymentEvent[]
  /** The event names of a service in order, such as `accepted`, `converged`. */
  eventNames(service: string): readonly string[]
}

export function createRecordingNotifier(): RecordingNotifier {
  const events: DeploymentEvent[] = []
  return {
    events,
    accepted: () => events.filter(({ event }) => event === 'accepted'),
    eventNames: (name) =>
      events.filter(({ service }) => service === name).map(({ event }) => event),
    notify: (event) => {
      events.push(event)
    },
  }
}

export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
}

export interface RecordingLogger extends Logger {
  readonly lines: LogLine[]
}

export function createRecordingLogger(): RecordingLogger {
  const lines: LogLine[] = []
  const log =
    (level: LogLine['level']) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ ...fields, level, message })
    }
  return { lines, info: log('info'), warn: log('warn'), error: log('error') }
}
