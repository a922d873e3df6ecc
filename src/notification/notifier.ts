// The notifier port: it receives the events of deployments.

import type { DeploymentEvent } from './deployment-event.ts'

/** Receives the events of deployments; the events of a service arrive in order. */
export interface Notifier {
  /**
   * Resolves once the event is delivered, or stored by a component that delivers it. No request waits
   * for it. A rejection is logged with the event, and does not affect the deployment.
   */
  (event: DeploymentEvent): void | Promise<void>
  /**
   * Resolves once no delivery attempt is running. A runtime that stops work after the response
   * (workerd) keeps the request alive until then. Default: nothing else is awaited.
   */
  readonly idle?: () => Promise<void>
}
