// Responds with a deployment: immediately, once its verdict is known, or as a stream of events.

import type { Context } from 'hono'
import { deploymentId, parseDeploymentId } from '../deployment/deployment.ts'
import { parseLegacyDeploymentId } from '../deployment/legacy-deployment-id.ts'
import { notFound } from '../rollout/deployment-lookup.ts'
import type { Deployments } from '../rollout/deployments.ts'
import {
  type KnownDeployment,
  outcomeOf,
  waitForEnd,
  waitForReading,
} from '../rollout/known-deployment.ts'
import type { OpenedDeployment, OpenedDeployments } from '../rollout/opened-deployments.ts'
import { wantsEvents } from './accept.ts'
import { deploymentResponse } from './deployment-response.ts'
import { keepAlive } from './keep-alive.ts'
import { deploymentLocation } from './paths.ts'
import { streamDeployment } from './progress-stream.ts'
import { createWaitingCallers, NO_PLACE, type WaitingPlace } from './waiting-callers.ts'

/** How to respond with a deployment. */
export interface ResponseOptions {
  /** How long the caller wants to wait for the verdict, in milliseconds; undefined: not at all. */
  readonly waitMs: number | undefined
  readonly warnings: readonly string[]
  /** The verdict to report while the rollout is in progress. */
  readonly verdictBeforeEnd: 'accepted' | 'pending'
  /** The caller's place among those that wait. */
  readonly place: WaitingPlace
}

/** Responds with deployments. */
export interface DeploymentResponder {
  /**
   * Reserves a place for a caller that wants to wait, before anything is deployed.
   *
   * @param c The request's context.
   * @param handle Handles the request.
   * @returns The response. The place is released with it; that of a stream at the stream's end.
   * @throws DeployerError `overloaded` when too many callers wait.
   */
  withPlace(c: Context, handle: (place: WaitingPlace) => Promise<Response>): Promise<Response>
  /**
   * Opens a deployment, whether or not this process created it.
   *
   * @param id The deployment's ID.
   * @returns The deployment; {@link DeploymentResponder.respond} closes it.
   */
  open(id: string): Promise<OpenedDeployment>
  /**
   * Responds with a deployment, and closes it. The verdict that the caller waited for has an event too,
   * which the request is kept alive for.
   *
   * @param c The request's context.
   * @param opened The deployment.
   * @param options How long to wait, and the further parts of the response.
   * @returns The response.
   */
  respond(c: Context, opened: OpenedDeployment, options: ResponseOptions): Promise<Response>
  /**
   * Keeps a request alive until its events are published, where the runtime ends it with the response.
   *
   * @param c The request's context.
   */
  keepAlive(c: Context): void
}

/** The dependencies of a responder. */
export interface DeploymentResponderOptions {
  readonly deployments: Deployments
  readonly openedDeployments: OpenedDeployments
  readonly basePath: string | undefined
  /** Resolves once the events so far are published, and the history is written. */
  readonly idle: () => Promise<void>
  /** Ends every wait. */
  readonly signal: AbortSignal
}

/**
 * Creates a responder.
 *
 * @param options The known deployments, and the signal that ends every wait.
 * @returns The responder. At most 2,000 callers wait at a time.
 */
export function createDeploymentResponder({
  deployments,
  openedDeployments,
  basePath,
  idle,
  signal,
}: DeploymentResponderOptions): DeploymentResponder {
  const callers = createWaitingCallers()
  return {
    async withPlace(c, handle) {
      const isWaiting = c.req.query('wait') !== undefined || wantsEvents(c)
      const place = isWaiting ? await callers.enter() : NO_PLACE
      let response: Response | undefined
      try {
        response = await handle(place)
        return response
      } finally {
        if (!isEventStream(response)) {
          place.release()
        }
      }
    },

    async open(id) {
      const key = parseDeploymentId(id) ?? parseLegacyDeploymentId(id)
      if (key === undefined) {
        throw notFound(id)
      }
      const known = deployments.find(deploymentId(key))
      return known === undefined ? openedDeployments.open(key) : { known, close() {} }
    },

    async respond(c, { known, close }, { waitMs, warnings, verdictBeforeEnd, place }) {
      const location = deploymentLocation(c, known.id, basePath)
      if (wantsEvents(c)) {
        const ended = (): void => {
          close()
          place.release()
          keepAlive(c, idle)
        }
        return streamDeployment(c, known, { waitMs, warnings, signal, location, ended })
      }
      try {
        if (waitMs !== undefined) {
          await waitForEnd(known, { timeoutMs: waitMs, signals: [signal, c.req.raw.signal] })
        } else if (verdictBeforeEnd === 'pending') {
          await waitForReading(known, { signals: [signal, c.req.raw.signal] })
          throwIfNeverRead(known)
        }
        return deploymentResponse(known, {
          location,
          verdictBeforeEnd: waitMs === undefined ? verdictBeforeEnd : 'rollout-pending',
          warnings,
        })
      } finally {
        close()
        keepAlive(c, idle)
      }
    },

    keepAlive: (c) => keepAlive(c, idle),
  }
}

function isEventStream(response: Response | undefined): boolean {
  return response?.headers.get('Content-Type')?.startsWith('text/event-stream') === true
}

/** When the service could not be read at all, the error is the response. */
function throwIfNeverRead(known: KnownDeployment): void {
  if ('watch' in known && outcomeOf(known) === undefined) {
    const { error, service } = known.watch.progress().snapshot
    if (error !== undefined && service === undefined) {
      throw error
    }
  }
}
