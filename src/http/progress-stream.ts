// A rollout as a stream of server-sent events (WHATWG): `progress` events, then one `verdict`.

import type { Context } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { onAbort } from '../async/abort.ts'
import { createAutoResetEvent } from '../async/auto-reset-event.ts'
import { waitFor } from '../async/wait-for.ts'
import {
  type KnownDeployment,
  outcomeOf,
  type WatchedDeployment,
} from '../rollout/known-deployment.ts'
import { type TaskState, taskStates } from '../rollout/task-states.ts'
import { type DeploymentReport, deploymentResponse } from './deployment-response.ts'

/** The options of a stream. */
export interface StreamOptions {
  readonly warnings?: readonly string[]
  /** How long the stream may last, in milliseconds; undefined: until the rollout ends. */
  readonly waitMs?: number | undefined
  /** The path of the deployment, for `Location`. */
  readonly location: string
  /** Called when the stream has ended, for any reason. */
  readonly ended: () => void
  /** Ends the stream with the current state. */
  readonly signal: AbortSignal
}

/** The data of a `progress` event. */
export interface ProgressReport
  extends Pick<DeploymentReport, 'verdict' | 'deploymentId' | 'service'> {
  /** The condition that the rollout waits for. */
  readonly message: string
  /** The number of running tasks (of a job: of completed ones), and the desired number, once known. */
  readonly running?: number
  readonly desired?: number
  /** The newest task of each slot, once tasks were read. */
  readonly tasks?: readonly TaskState[]
}

const HEARTBEAT_MS = 10_000
// A client that does not read for this long has stopped, even when its connection is open.
const LONGEST_WRITE_MS = 30_000

/**
 * Streams a rollout. A comment about every 10 s keeps proxies from closing the connection.
 *
 * @param c The request's context.
 * @param known The deployment.
 * @param options How long to stream, and the parts of the last event.
 * @returns The response, always 200. The data of `verdict` is the body of a response without a stream.
 */
export function streamDeployment(
  c: Context,
  known: KnownDeployment,
  options: StreamOptions,
): Response {
  // nginx would buffer the events until the end.
  c.header('X-Accel-Buffering', 'no')
  c.header('Location', options.location)
  return streamSSE(c, (stream) => follow(stream, known, { ...options, request: c.req.raw.signal }))
}

interface FollowOptions extends StreamOptions {
  /** Aborts when the client has disconnected. */
  readonly request: AbortSignal
}

async function follow(
  stream: SSEStreamingApi,
  known: KnownDeployment,
  { warnings = [], waitMs, location, ended, signal, request }: FollowOptions,
): Promise<void> {
  const endsAt = performance.now() + (waitMs ?? Number.POSITIVE_INFINITY)
  const wake = createAutoResetEvent()
  const disconnected = new AbortController()
  const disconnect = (): void => {
    disconnected.abort()
    wake.set()
  }
  stream.onAbort(disconnect)
  const removeRequestListener = onAbort(request, disconnect)
  const removeSignalListener = onAbort(signal, wake.set)
  const unfollow = 'watch' in known ? known.watch.follow(wake.set) : () => {}
  // A write waits until the client reads. A disconnected or stopped client never does.
  const send = async (write: Promise<unknown>): Promise<void> => {
    let isWritten = false
    const written = write.then(() => {
      isWritten = true
    })
    await waitFor(written, { timeoutMs: LONGEST_WRITE_MS, signals: [disconnected.signal] })
    if (!isWritten) {
      disconnect()
    }
  }
  const leftMs = (): number => endsAt - performance.now()
  const isOver = (): boolean =>
    disconnected.signal.aborted ||
    request.aborted ||
    signal.aborted ||
    outcomeOf(known) !== undefined ||
    leftMs() <= 0
  try {
    let sent = ''
    let sentAt = 0
    while ('watch' in known && !isOver()) {
      const data = JSON.stringify(progressOf(known))
      if (data !== sent) {
        await send(stream.writeSSE({ event: 'progress', data }))
        ;[sent, sentAt] = [data, performance.now()]
      } else if (performance.now() - sentAt >= HEARTBEAT_MS) {
        await send(stream.write(': in progress\n\n'))
        sentAt = performance.now()
      }
      await wake.wait(Math.min(sentAt + HEARTBEAT_MS - performance.now(), leftMs()))
    }
    const verdictBeforeEnd = waitMs === undefined ? 'pending' : 'rollout-pending'
    const plain = deploymentResponse(known, { location, verdictBeforeEnd, warnings })
    await send(stream.writeSSE({ event: 'verdict', data: await plain.text() }))
  } finally {
    unfollow()
    ended()
    removeSignalListener()
    removeRequestListener()
  }
}

function progressOf({ id, deployment, watch }: WatchedDeployment): ProgressReport {
  const { message, counts, snapshot } = watch.progress()
  const { tasks, nodes, service } = snapshot
  return {
    verdict: 'pending',
    deploymentId: id,
    service: deployment.service,
    message,
    ...counts,
    ...(tasks === undefined ? {} : { tasks: taskStates(service?.Spec.Mode ?? {}, tasks, nodes) }),
  }
}
