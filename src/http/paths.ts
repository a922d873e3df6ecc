// The paths of the API, and what a request's path contains.

import type { Context } from 'hono'

// A gateway may have parameters `:name` and `:id` of its own in its base path, and Hono would return
// those.
export const SERVICE_PATH = '/service/:deployer_service'
export const HISTORY_PATH = '/service/:deployer_service/history'
export const SERVICES_PATH = '/services'
export const DEPLOYMENT_PATH = '/deployments/:deployer_deployment'
export const HEALTH_PATH = '/healthz'

// A gateway with `strict: false` also routes paths with a slash at the end.
const ROUTE = /\/(?:service|deployments)\/[^/]*\/*$/
const MAX_SHOWN = 200

/**
 * The service name in a request's path.
 *
 * @param c The request's context.
 * @returns The name, decoded and not checked.
 */
export function serviceNameOf(c: Context): string {
  return c.req.param('deployer_service') ?? ''
}

/**
 * The deployment ID in a request's path.
 *
 * @param c The request's context.
 * @returns The ID, decoded and not checked.
 */
export function deploymentIdOf(c: Context): string {
  return c.req.param('deployer_deployment') ?? ''
}

/**
 * The path of a deployment, for `Location`.
 *
 * @param c The context of a request for a service or a deployment.
 * @param id The deployment's ID.
 * @param basePath The path prefix that a reverse proxy strips. Default: the prefix of the request's
 *   own path.
 * @returns The path, without a host.
 */
export function deploymentLocation(c: Context, id: string, basePath?: string): string {
  const base = basePath ?? new URL(c.req.url).pathname.replace(ROUTE, '')
  return `${base}/deployments/${id}`
}

/**
 * Shortens a text that a caller sent, for logs and error messages.
 *
 * @param text The text.
 * @returns Its first 200 characters.
 */
export function shortened(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
