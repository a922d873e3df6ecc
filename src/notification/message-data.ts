// Pure: event gives template data.

import { goDuration } from '../text/duration.ts'
import type { DeploymentEvent } from './deployment-event.ts'
import type { MessageData } from './renderer.ts'

/** The variables that a message template has, and what they are. */
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
 * Puts an event under the names that message templates use.
 *
 * @param event What happened.
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

/** Empty, too, when an event that was kept as JSON has times that are none. */
function durationOf({ startedAt, endedAt }: DeploymentEvent): string {
  const milliseconds = Date.parse(endedAt) - Date.parse(startedAt)
  return Number.isNaN(milliseconds) ? '' : goDuration(milliseconds)
}
