// Hand-written recording fakes for the notifier and the logger.

import type { DeploymentEvent, Logger, Notifier } from '../../src/ports.ts'

export interface RecordingNotifier {
  readonly notify: Notifier
  readonly events: DeploymentEvent[]
}

export function createRecordingNotifier(): RecordingNotifier {
  const events: DeploymentEvent[] = []
  return {
    events,
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
