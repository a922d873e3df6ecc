// The notifier port: whoever is to learn of events.

import type { DeploymentEvent } from './deployment-event.ts'

/**
 * Tells people of an event. It resolves once the event is delivered, or safe with somebody who
 * delivers it, and may take its time: no caller waits for it. A rejection is logged, with the event,
 * and changes nothing for the deployment. The events of a service come in order.
 */
export type Notifier = (event: DeploymentEvent) => void | Promise<void>
