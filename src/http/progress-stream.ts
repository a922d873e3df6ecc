// A rollout as a stream of events (WHATWG server-sent events): `progress` while it goes on, then one
// `verdict`.

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

/** How a rollout is streamed. */
export interface StreamOptions {
  readonly warnings?: readonly string[]
  /** How long the caller wants to watch, in milliseconds; undefined: to the end. */
  readonly waitMs?: number | undefined
  /** The path of the deployment, for `Location`. */
  readonly location: string
  /** Is told when the stream has ended, for whatever reason. */
  readonly ended: () => void
  /** Ends the stream, with what is known so far. */
  readonly signal: AbortSignal
}

/** The data of a `progress` event. */
export interface ProgressReport
  extends Pick<DeploymentReport, 'verdict' | 'deploymentId' | 'service'> {
  /** What the rollout waits for. */
  readonly message: string
  /** How many tasks run (of a job: are complete), and of how many, once that is known. */
  readonly running?: number
  readonly desired?: number
  /** The newest task of each slot, once tasks were read. */
  readonly tasks?: readonly TaskState[]
}

const HEARTBEAT_MS = 10_000
// A client that reads nothing for so long has stopped, though its connection is open.
const LONGEST_WRITE_MS = 30_000

/**
 * Streams a rollout. A line of comment at least every 15 s keeps proxies from hanging up.
 *
 * @param c The request's context.
 * @param known The deployment.
 * @param options How long, and what else to tell at the end.
 * @returns The response, 200 whatever the verdict; the data of `verdict` is the plain answer's.
 */
export function streamDeployment(
  c: Context,
  known: KnownDeployment,
  options: StreamOptions,
): Response {
  // nginx would keep the events back until the end.
  c.header('X-Accel-Buffering', 'no')
  c.header('Location', options.location)
  return streamSSE(c, (stream) => follow(stream, known, { ...options, request: c.req.raw.signal }))
}

interface FollowOptions extends StreamOptions {
  /** Aborts when the client has gone. */
  readonly request: AbortSignal
}

async function follow(
  stream: SSEStreamingApi,
  known: KnownDeployment,
  { warnings = [], waitMs, location, ended, signal, request }: FollowOptions,
): Promise<void> {
  const endsAt = performance.now() + (waitMs ?? Number.POSITIVE_INFINITY)
  const bell = createAutoResetEvent()
  const gone = new AbortController()
  const hangUp = (): void => {
    gone.abort()
    bell.set()
  }
  stream.onAbort(hangUp)
  const forgetRequest = onAbort(request, hangUp)
  const forgetSignal = onAbort(signal, bell.set)
  const unfollow = 'watch' in known ? known.watch.follow(bell.set) : () => {}
  // A write waits for a client that reads; one that has gone, or has stopped reading, never will.
  const send = async (write: Promise<unknown>): Promise<void> => {
    let isTaken = false
    const taken = write.then(() => {
      isTaken = true
    })
    await waitFor(taken, { timeoutMs: LONGEST_WRITE_MS, signals: [gone.signal] })
    if (!isTaken) {
      hangUp()
    }
  }
  const leftMs = (): number => endsAt - performance.now()
  const isOver = (): boolean =>
    gone.signal.aborted ||
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
        await send(stream.write(': still under way\n\n'))
        sentAt = performance.now()
      }
      await bell.wait(Math.min(sentAt + HEARTBEAT_MS - performance.now(), leftMs()))
    }
    const underWay = waitMs === undefined ? 'pending' : 'rollout-pending'
    const plain = deploymentResponse(known, { location, underWay, warnings })
    await send(stream.writeSSE({ event: 'verdict', data: await plain.text() }))
  } finally {
    unfollow()
    ended()
    forgetSignal()
    forgetRequest()
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
