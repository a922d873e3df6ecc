// Pure: converts an event into the data of a message template.

import { goDuration } from '../text/duration.ts'
import type { DeploymentEvent } from './deployment-event.ts'
import type { MessageData } from './renderer.ts'

/** The variables of a message template, and their types. */
export const messageFields: {
  readonly [Name in keyof MessageData]: MessageData[Name] extends string ? 'string' : 'map'
} = {
  Artifact: 'string',
  Caller: 'string',
  DeploymentID: 'string',
  Digest: 'string',
  Duration: 'string',
  EndedAt: 'string',
  Error: 'string',
  Event: 'string',
  MessageID: 'string',
  Meta: 'map',
  Previous: 'string',
  ServiceID: 'string',
  ServiceName: 'string',
  StartedAt: 'string',
}

/**
 * Converts an event into the data of a message template.
 *
 * @param event The event.
 * @returns The values of the template's variables.
 */
export function messageData(event: DeploymentEvent): MessageData {
  return {
    Artifact: event.image,
    Caller: event.caller,
    DeploymentID: event.deploymentId,
    Digest: event.digest,
    Duration: durationOf(event),
    EndedAt: event.endedAt,
    Error: event.error,
    Event: event.event,
    MessageID: event.id,
    Meta: event.metadata,
    Previous: event.previous,
    ServiceID: event.serviceId,
    ServiceName: event.service,
    StartedAt: event.startedAt,
  }
}

/** Also empty when the times of an event from the spool are invalid. */
function durationOf({ startedAt, endedAt }: DeploymentEvent): string {
  const milliseconds = Date.parse(endedAt) - Date.parse(startedAt)
  return Number.isNaN(milliseconds) ? '' : goDuration(milliseconds)
}
