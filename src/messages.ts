// Pure: event gives template data.

import type { DeploymentEvent, MessageData } from './ports.ts'

/** The names of the variables that a message template has. */
export const messageFields: readonly (keyof MessageData)[] = ['Artifact', 'ServiceName']

/**
 * Puts an event under the names that message templates use.
 *
 * @param event What happened.
 * @returns The values of the template's variables.
 */
export function messageData(event: DeploymentEvent): MessageData {
  return { Artifact: event.image, ServiceName: event.service }
}
