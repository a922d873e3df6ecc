// The portable Hono app: the routes, the order of middleware, and the responses to errors.

import type { Context } from 'hono'
import { Hono } from 'hono/tiny'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { DeployTools } from '../update/deploy.ts'
import { bearer } from './auth.ts'
import { createDeploymentResponder } from './deployment-responder.ts'
import {
  DEPLOYMENT_PATH,
  HEALTH_PATH,
  HISTORY_PATH,
  SERVICE_PATH,
  SERVICES_PATH,
  serviceNameOf,
  shortened,
} from './paths.ts'
import { httpProblemResponse, problemResponse } from './problem.ts'
import { requestLog, unauthorizedLog } from './request-log.ts'
import { getDeployment } from './routes/get-deployment.ts'
import { getHealth } from './routes/get-health.ts'
import { getHistory } from './routes/get-history.ts'
import { getService } from './routes/get-service.ts'
import { getServices } from './routes/get-services.ts'
import { putService } from './routes/put-service.ts'
import type { DeployerApp } from './schema.ts'
import { textResponse } from './text-response.ts'

/** The dependencies of the app. */
export interface AppOptions {
  readonly token: string
  readonly tools: DeployTools
  readonly logger: Logger
  readonly basePath: string | undefined
  /** Ends every wait. */
  readonly signal: AbortSignal
}

const ALLOWED_METHODS = [
  [SERVICE_PATH, 'GET, PUT'],
  [HISTORY_PATH, 'GET'],
  [SERVICES_PATH, 'GET'],
  [DEPLOYMENT_PATH, 'GET'],
  [HEALTH_PATH, 'GET'],
] as const

/**
 * Creates the app.
 *
 * @param options Its dependencies.
 * @returns The app. Every error response is an RFC 9457 problem document.
 */
export function createApp({ token, tools, logger, basePath, signal }: AppOptions): DeployerApp {
  const { swarm, deployments, openedDeployments, publisher, history } = tools
  const idle = async (): Promise<void> => {
    await publisher.idle()
    await history.idle()
  }
  const responder = createDeploymentResponder({
    ...{ deployments, openedDeployments, basePath, idle, signal },
  })
  const authorized = bearer(token, unauthorizedLog(logger, serviceNameOf))
  const logged = requestLog(logger, serviceNameOf)
  const app = new Hono()

  const text = textResponse()
  app.put(SERVICE_PATH, text, authorized, logged, putService(tools, responder))
  app.get(SERVICE_PATH, authorized, getService(swarm))
  app.get(HISTORY_PATH, text, authorized, getHistory(tools))
  app.get(SERVICES_PATH, authorized, getServices(swarm))
  app.get(DEPLOYMENT_PATH, text, authorized, getDeployment(responder))
  app.get(HEALTH_PATH, getHealth)
  for (const [path, allow] of ALLOWED_METHODS) {
    app.all(path, (c) => methodNotAllowed(c, allow))
  }
  app.notFound(notFound)
  app.onError((error, c) => errorResponse(error, c, logger))
  // Its routes are declared by hand; a test compares them with `app.routes`.
  return app as DeployerApp
}

function methodNotAllowed(c: Context, allow: string): Response {
  const path = JSON.stringify(shortened(c.req.path))
  const message = `Cannot ${c.req.method} ${path}: send ${allow}`
  return problemResponse(new DeployerError('method-not-allowed', message), { Allow: allow })
}

function notFound(c: Context): Response {
  const path = JSON.stringify(shortened(c.req.path))
  return problemResponse(
    new DeployerError(
      'not-found',
      `Cannot find ${path}: the paths are /service/<name>, /service/<name>/history, /services, /deployments/<id> and /healthz`,
    ),
  )
}

function errorResponse(error: Error, c: Context, logger: Logger): Response {
  if (error instanceof DeployerError) {
    return problemResponse(error)
  }
  if (isHttpException(error)) {
    return httpProblemResponse(error.status, error.message, error.getResponse().headers)
  }
  logger.error({ err: error, method: c.req.method, path: c.req.path }, 'request failed')
  return problemResponse(new DeployerError('internal-error', 'Deployer itself failed: see its log'))
}

interface HttpException extends Error {
  readonly status: number
  getResponse(): Response
}

/** A gateway's exceptions can come from another copy of Hono, where `instanceof` fails. */
function isHttpException(error: Error): error is HttpException {
  const { status, getResponse } = error as Partial<HttpException>
  return typeof status === 'number' && typeof getResponse === 'function'
}
