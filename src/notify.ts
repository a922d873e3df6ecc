// Telling the notifier of a deployment, without any harm to the deployment.

import type { Context } from 'hono'
import type { NamedDeployment } from './known-deployment.ts'
import type { DeploymentEvent, Logger, Notifier } from './ports.ts'

/**
 * Tells of an accepted deployment. A message that fails is logged, and changes nothing.
 *
 * @param c The request's context; its runtime is asked to let the notifier finish.
 * @param known The deployment.
 * @param options Who is told, and where a failure is logged.
 */
export function notifyAccepted(
  c: Context,
  { deployment }: NamedDeployment,
  { notifier, logger }: { readonly notifier: Notifier; readonly logger: Logger },
): void {
  const { service, serviceId, image, previous } = deployment
  const event: DeploymentEvent = { event: 'accepted', service, serviceId, image, previous }
  keepAlive(c, notify(event, notifier, logger))
}

/** Never rejects: a message that fails is logged and changes nothing for the deployment. */
async function notify(event: DeploymentEvent, notifier: Notifier, logger: Logger): Promise<void> {
  try {
    await notifier(event)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    logger.error({ ...event, reason }, 'message not delivered')
  }
}

/** Runtimes that stop a request's work with its response (workerd) are asked to wait for this. */
function keepAlive(c: Context, work: Promise<void>): void {
  try {
    c.executionCtx.waitUntil(work)
  } catch {
    // Hono throws where the runtime has no execution context; there the work goes on by itself.
  }
}
