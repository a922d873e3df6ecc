// The portable Hono app: routes, order of middleware, errors to problem documents.

import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { waitFor } from '../async/wait-for.ts'
import { checkOptions, type DeployerOptions } from '../deployer-options.ts'
import { createTools } from '../deployer-parts.ts'
import { newMessageId } from '../notification/deployment-event.ts'
import type { KnownDeployment } from '../rollout/known-deployment.ts'
import type { OpenedDeployment } from '../rollout/opened-deployments.ts'
import { ALLOW_UPDATES_LABEL } from '../swarm/service-spec.ts'
import type { Logger } from '../swarm/swarm.ts'
import { deploy, plan } from '../update/deploy.ts'
import { dryRunReport } from '../update/dry-run.ts'
import { createIdempotencyKeys, requestMark } from '../update/idempotency.ts'
import { findService } from '../update/service-access.ts'
import { type AuthEnv, bearer } from './auth.ts'
import {
  checkQueryNames,
  readDryRun,
  readIdempotencyKey,
  readRegistryAuth,
  readWait,
  readWishBody,
  wantsEvents,
} from './deploy-request-body.ts'
import { answer } from './deployment-response.ts'
import { keepAlive } from './keep-alive.ts'
import { DeployerError, httpProblemResponse, problemResponse } from './problem.ts'
import { streamDeployment } from './progress-stream.ts'
import {
  type LogEnv,
  type LogFields,
  requestLog,
  shortened,
  unauthorizedLog,
} from './request-log.ts'
import { serviceStatus } from './service-status.ts'
import { createWaitingCallers, NO_PLACE, type WaitingPlace } from './waiting-callers.ts'

// A gateway may have parameters `:name` and `:id` of its own before it, and Hono would give those.
const SERVICE_PARAMETER = 'deployer_service'
const SERVICE_PATH = `/service/:${SERVICE_PARAMETER}` as const
const DEPLOYMENT_PARAMETER = 'deployer_deployment'
const DEPLOYMENT_PATH = `/deployments/:${DEPLOYMENT_PARAMETER}` as const
const SERVICES_PATH = '/services'
const ROUTE = /\/(?:service|deployments)\/[^/]*$/
const SILENT: Logger = { info() {}, warn() {}, error() {} }

/**
 * Makes the HTTP side of Deployer: `PUT /service/:name` with `{"image": "name:tag"}`,
 * `GET /deployments/:id`, `GET /service/:name` and `GET /services`.
 *
 * @param options Token, swarm, and whatever else is to differ; never changed.
 * @returns A Hono app. Its `fetch` is the handler; `gateway.route('/cd', app)` and
 *   `gateway.mount('/cd', app.fetch)` put it under a path of another Hono app. Every error it
 *   answers is an RFC 9457 problem document.
 * @throws TypeError or RangeError that names an option that cannot be used.
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
  const { token, swarm, logger = SILENT, basePath } = options
  const signal = options.signal ?? new AbortController().signal
  const tools = createTools(options, { logger, signal })
  const keys = createIdempotencyKeys<Begun>()
  const callers = createWaitingCallers()
  const app = new Hono()
  const authorized = bearer(token, unauthorizedLog(logger, serviceName))

  app.put(SERVICE_PATH, authorized, requestLog(logger, serviceName), (c) =>
    waiting(c, (place) => putService(c, place)),
  )

  async function putService(c: PutContext, place: WaitingPlace): Promise<Response> {
    checkQueryNames(c)
    const waitMs = readWait(c)
    const isDryRun = readDryRun(c)
    const registryAuth = readRegistryAuth(c)
    const key = readIdempotencyKey(c)
    const body = await readWishBody(c)
    const service = serviceName(c)
    c.var.logFields.image = body.image?.given ?? ''
    const { metadata, ...wanted } = body
    const origin = { messageId: newMessageId(), caller: c.var.caller, metadata }
    const wish = { service, registryAuth, origin, ...wanted }
    if (isDryRun) {
      c.var.logFields.dryRun = true
      return c.json(dryRunReport(wish, await plan(wish, tools).catch(rethrow)))
    }
    const begin = async (mark?: string): Promise<Begun> => {
      const { deployment, warnings } = await deploy({ ...wish, mark }, tools).catch(rethrow)
      return { id: deployment.id, warnings }
    }
    const { image, expect, force, resume } = body
    // As before there was "resume", where there is none: keys outlive an upgrade.
    const request = [image?.given, expect?.given, force, ...(resume ? [resume] : [])]
    const mark = key === undefined ? undefined : await requestMark(key, request)
    const begun = mark === undefined ? begin() : keys.once(service, mark, () => begin(mark))
    const { id, warnings } = await begun.finally(() => keepAlive(c, tools.announcer.idle()))
    const opened = await openDeployment(id)
    c.var.logAccepted(logFields(opened.known))
    return told(c, opened, { waitMs, warnings, underWay: 'accepted', place })
  }

  app.get(SERVICE_PATH, authorized, async (c) => {
    const service = await findService(serviceName(c), swarm).catch(rethrow)
    return c.json(serviceStatus(service, await swarm.listTasks(service.ID).catch(rethrow)))
  })

  app.get(SERVICES_PATH, authorized, async (c) => {
    const services = await swarm.listServices(`${ALLOW_UPDATES_LABEL}=true`).catch(rethrow)
    return c.json(services.map((service) => serviceStatus(service)))
  })

  app.get(DEPLOYMENT_PATH, authorized, (c) =>
    waiting(c, async (place) => {
      checkQueryNames(c)
      const waitMs = readWait(c)
      const opened = await openDeployment(c.req.param(DEPLOYMENT_PARAMETER))
      return told(c, opened, { waitMs, warnings: [], underWay: 'pending', place })
    }),
  )

  /** Who waits takes a place before anything is deployed. A stream gives it back at its end. */
  async function waiting(
    c: Context,
    handle: (place: WaitingPlace) => Promise<Response>,
  ): Promise<Response> {
    const isWaiting = c.req.query('wait') !== undefined || wantsEvents(c)
    const place = isWaiting ? callers.enter() : NO_PLACE
    let response: Response | undefined
    try {
      response = await handle(place)
      return response
    } finally {
      if (!isEventStream(response)) {
        place.release()
      }
    }
  }

  async function openDeployment(id: string): Promise<OpenedDeployment> {
    const known = tools.deployments.find(id)
    return known === undefined ? tools.openedDeployments.open(id) : { known, close() {} }
  }

  /** Answers with a deployment: at once, when its end is in, or event by event. */
  async function told(
    c: Context,
    { known, close }: OpenedDeployment,
    { waitMs, warnings, underWay, place }: Telling,
  ): Promise<Response> {
    if (wantsEvents(c)) {
      const location = locationOf(c, known)
      const ended = (): void => {
        close()
        place.release()
      }
      return streamDeployment(c, known, { waitMs, warnings, signal, location, ended })
    }
    try {
      if (waitMs !== undefined) {
        await waitFor(known.ended, { timeoutMs: waitMs, signals: [signal, c.req.raw.signal] })
      } else if (underWay === 'pending') {
        await waitFor(known.looked, { signals: [signal, c.req.raw.signal] })
        throwBlindness(known)
      }
      return answer(known, {
        location: locationOf(c, known),
        underWay: waitMs === undefined ? underWay : 'rollout-pending',
        warnings,
      })
    } finally {
      close()
    }
  }

  function locationOf(c: Context, { id }: KnownDeployment): string {
    const base = basePath ?? new URL(c.req.url).pathname.replace(ROUTE, '')
    return `${base}/deployments/${id}`
  }

  for (const [path, allow] of METHODS) {
    app.all(path, (c) => {
      throw new DeployerError(
        'method-not-allowed',
        `Cannot ${c.req.method} ${JSON.stringify(shortened(c.req.path))}: send ${allow}`,
        { headers: { Allow: allow } },
      )
    })
  }

  app.notFound((c) =>
    problemResponse(
      new DeployerError(
        'not-found',
        `Cannot find ${JSON.stringify(shortened(c.req.path))}: the paths are /service/<name>, /services and /deployments/<id>`,
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

interface Begun {
  readonly id: string
  readonly warnings: readonly string[]
}

interface Telling {
  readonly waitMs: number | undefined
  readonly warnings: readonly string[]
  readonly underWay: 'accepted' | 'pending'
  readonly place: WaitingPlace
}

type PutContext = Context<AuthEnv & LogEnv>

function isEventStream(response: Response | undefined): boolean {
  return response?.headers.get('Content-Type')?.startsWith('text/event-stream') === true
}

const METHODS = [
  [SERVICE_PATH, 'GET, PUT'],
  [SERVICES_PATH, 'GET'],
  [DEPLOYMENT_PATH, 'GET'],
] as const

function serviceName(c: Context): string {
  return c.req.param(SERVICE_PARAMETER) ?? ''
}

function logFields({ id, deployment, outcome }: KnownDeployment): LogFields {
  const { service, serviceId, image, resolved, previous } = deployment
  const verdict = outcome()?.verdict ?? 'accepted'
  return { service, serviceId, image, resolved, previous, verdict, deploymentId: id }
}

/** Nothing was ever seen of the deployment's service: that is no answer. */
function throwBlindness({ outcome, standing }: KnownDeployment): void {
  const { fault, service } = standing().seen
  if (fault !== undefined && service === undefined && outcome() === undefined) {
    throw fault
  }
}

/** Hono lets pass what is no Error, and then nobody would answer. */
function rethrow(thrown: unknown): never {
  throw thrown instanceof Error ? thrown : new Error(`Not an Error was thrown: ${String(thrown)}`)
}
