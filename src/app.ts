// The portable Hono app: routes, order of middleware, errors to problem documents.

import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { bearer, isHeaderValue } from './auth.ts'
import { bodyText, malformedBody } from './body.ts'
import { deploy } from './deploy.ts'
import { parseImageReference } from './image-reference.ts'
import type { DeploymentEvent, Logger, Notifier, Swarm } from './ports.ts'
import { DeployerError, httpProblemResponse, problemResponse } from './problem.ts'
import { requestLog, shortened, unauthorizedLog } from './request-log.ts'

/** What {@link createDeployer} is made of. */
export interface DeployerOptions {
  /** What callers must send in the `Authorization` header, bare or after `Bearer`. */
  readonly token: string
  /** The swarm whose services are updated. */
  readonly swarm: Swarm
  /** Told of each accepted deployment, after the engine's answer. Default: nobody. */
  readonly notifier?: Notifier
  /**
   * Gets one line per request for a deployment, accepted or refused; of those with a wrong token at
   * most 20 a second. Default: nothing is logged.
   */
  readonly logger?: Logger
}

// A gateway may have a parameter `:name` of its own before it, and Hono would give that one.
const SERVICE_PARAMETER = 'deployer_service'
const SERVICE_PATH = `/service/:${SERVICE_PARAMETER}` as const
const SILENT: Logger = { info() {}, warn() {}, error() {} }

/**
 * Makes the HTTP side of Deployer: `PUT /service/:name` with `{"image": "name:tag"}`.
 *
 * @param options Token, swarm, and optionally notifier and logger; never changed.
 * @returns A Hono app. Its `fetch` is the handler; `gateway.route('/cd', app)` and
 *   `gateway.mount('/cd', app.fetch)` put it under a path of another Hono app. Every error it
 *   answers is an RFC 9457 problem document.
 * @throws TypeError when the token is empty or an option has the wrong type.
 * @example
 * ```ts
 * import { createDeployer } from 'swarm-deployer'
 * import { createDockerodeSwarm } from 'swarm-deployer/node'
 *
 * const swarm = createDockerodeSwarm({ dockerHost: 'unix:///var/run/docker.sock' })
 * gateway.route('/cd', createDeployer({ token: 'SOME_TOKEN', swarm }))
 * ```
 */
export function createDeployer(options: DeployerOptions): Hono {
  checkOptions(options)
  const { token, swarm, notifier, logger = SILENT } = options
  const app = new Hono()

  const authorized = bearer(token, unauthorizedLog(logger, serviceName))
  app.put(SERVICE_PATH, authorized, requestLog(logger, serviceName), async (c) => {
    const image = parseImageReference(await wantedImage(c))
    c.var.logFields.image = image.given
    const wish = { service: serviceName(c), image }
    const deployment = await deploy(wish, swarm).catch(rethrow)
    c.set('logFields', { ...deployment })
    if (notifier !== undefined) {
      keepAlive(c, notify({ event: 'accepted', ...deployment }, notifier, logger))
    }
    return c.json(deployment)
  })

  app.all(SERVICE_PATH, (c) => {
    throw new DeployerError(
      'method-not-allowed',
      `Cannot ${c.req.method} a service: send PUT with {"image": "name:tag"}`,
      { headers: { Allow: 'PUT' } },
    )
  })

  app.notFound((c) =>
    problemResponse(
      new DeployerError(
        'not-found',
        `Cannot find ${JSON.stringify(shortened(c.req.path))}: the path is /service/<name>`,
      ),
    ),
  )

  app.onError((error, c) => {
    if (error instanceof DeployerError) {
      return problemResponse(error)
    }
    if (error instanceof HTTPException) {
      return httpProblemResponse(error.status, error.message, error.getResponse().headers)
    }
    logger.error({ err: error, method: c.req.method, path: c.req.path }, 'request failed')
    return problemResponse(
      new DeployerError(
        'internal-error',
        'Cannot answer: Deployer itself failed; its log says why',
      ),
    )
  })

  return app
}

function serviceName(c: Context): string {
  return c.req.param(SERVICE_PARAMETER) ?? ''
}

function checkOptions({ token, swarm, notifier, logger }: DeployerOptions): void {
  if (typeof token !== 'string' || token === '') {
    throw new TypeError('Cannot create a deployer without a token: set `token` to a string')
  }
  if (!isHeaderValue(token)) {
    throw new TypeError('Cannot use `token`: no header can hold it, so it would never match')
  }
  if (typeof swarm?.inspectService !== 'function' || typeof swarm.updateService !== 'function') {
    throw new TypeError('Cannot create a deployer without a swarm: set `swarm` to a Swarm')
  }
  if (notifier !== undefined && typeof notifier !== 'function') {
    throw new TypeError('Cannot use `notifier`: it must be a function')
  }
  const methods = [logger?.info, logger?.warn, logger?.error]
  if (logger !== undefined && methods.some((method) => typeof method !== 'function')) {
    throw new TypeError('Cannot use `logger`: it must have the methods info, warn and error')
  }
}

/** The content type is not looked at: curl's `-d` says `application/x-www-form-urlencoded`. */
async function wantedImage(c: Context): Promise<string> {
  const body = parseJson(await bodyText(c))
  if (typeof body === 'object' && body !== null && 'image' in body) {
    if (typeof body.image === 'string') {
      return body.image
    }
    throw malformedBody('"image" is not a string')
  }
  throw malformedBody('it is no JSON object with the member "image"')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformedBody('it is not JSON', cause)
  }
}

/** Hono lets pass what is no Error, and then nobody would answer. */
function rethrow(thrown: unknown): never {
  throw thrown instanceof Error ? thrown : new Error(`Not an Error was thrown: ${String(thrown)}`)
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
