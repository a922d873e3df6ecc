// Pure: the body of a webhook without a template.

import type { DeploymentEvent } from '../deployment-event.ts'

/**
 * Creates the body of a webhook without a template.
 *
 * @param event The event.
 * @returns JSON, with `type`, `timestamp` and `data` as Standard Webhooks recommends.
 */
export function defaultBody(event: DeploymentEvent): string {
  const { id, endedAt, startedAt, metadata, ...rest } = event
  const { service, serviceId, image, digest, previous, deploymentId, caller, error } = rest
  return JSON.stringify({
    type: `deployment.${event.event}`,
    timestamp: endedAt === '' ? startedAt : endedAt,
    data: {
      messageId: id,
      event: event.event,
      ...{ service, serviceId, image, digest, previous, deploymentId, caller, error },
      ...{ startedAt, endedAt, metadata },
    },
  })
}
