// The engine's streams: the log of a task, and the events of services.

import type { IncomingHttpHeaders } from 'node:http'
import { onAbort } from '../../async/abort.ts'
import { DeployerError } from '../../errors.ts'
import type { ServiceListener, WatchOptions } from '../../swarm/swarm.ts'
import { engineCall } from './engine-call.ts'
import { filterQuery } from './filter-query.ts'
import type { Modem } from './modem.ts'
import { createServiceEventParser } from './service-event.ts'
import { createLogTail, type LogTail } from './task-log.ts'

// The log stream of a task whose node is down never ends.
const LOG_TIMEOUT_MS = 3000

/**
 * Reads the end of a task's log.
 *
 * @param modem Connects to the engine.
 * @param taskId The task's ID.
 * @param lines Maximum number of lines.
 * @returns What the engine sent within 3 s, at most 8 KiB; empty if there is no log or the request
 *   fails.
 */
export async function readTaskLog(modem: Modem, taskId: string, lines: number): Promise<string> {
  const path = `/tasks/${encodeURIComponent(taskId)}/logs?`
  const query = { stdout: '1', stderr: '1', tail: String(lines) }
  let tail: LogTail | undefined
  try {
    await modem.stream(
      { path, query },
      {
        signal: AbortSignal.timeout(LOG_TIMEOUT_MS),
        opened(headers: IncomingHttpHeaders) {
          tail = createLogTail(headers['content-type'])
        },
        chunk: (chunk) => tail?.push(chunk),
      },
    )
  } catch {
    // The part of the log that was received before the error is still useful.
  }
  return tail?.text() ?? ''
}

/**
 * Reports every change of every service.
 *
 * @param modem Connects to the engine.
 * @param listener Is called when the stream is open and for each event.
 * @param options The signal that ends the watch, and the time of the first event.
 * @returns Nothing; resolves when the stream has ended or the signal aborts.
 * @throws DeployerError as {@link engineCall}; `internal-error` if the listener throws, or returns a
 *   promise that rejects.
 */
export async function watchServices(
  modem: Modem,
  listener: ServiceListener,
  { signal, sinceMs }: WatchOptions,
): Promise<void> {
  if (signal.aborted) {
    return
  }
  const since = sinceMs === undefined ? {} : { since: engineTime(sinceMs) }
  const query = { ...filterQuery({ type: ['service'] }), ...since }
  const parseEvents = createServiceEventParser()
  const stream = new AbortController()
  const cancel = onAbort(signal, () => stream.abort())
  let failure: DeployerError | undefined

  function onListenerError(cause: unknown): void {
    failure ??= listenerError(cause)
    stream.abort()
  }

  /** The listener may end the watch while there are more events of the same chunk. */
  function notify(call: () => unknown): void {
    if (!stream.signal.aborted) {
      callListener(call, onListenerError)
    }
  }

  const reader = {
    signal: stream.signal,
    opened: () => notify(() => listener.opened()),
    chunk(bytes: Buffer) {
      for (const event of parseEvents(bytes)) {
        notify(() => listener.changed(event))
      }
    },
  }
  try {
    await engineCall('watch services', () => modem.stream({ path: '/events?', query }, reader))
  } finally {
    cancel()
  }
  if (failure !== undefined) {
    throw failure
  }
}

function callListener(call: () => unknown, onError: (cause: unknown) => void): void {
  try {
    const result = call()
    if (result instanceof Promise) {
      result.catch(onError)
    }
  } catch (cause) {
    onError(cause)
  }
}

/** An error of the listener must not be reported as an error of the engine. */
function listenerError(cause: unknown): DeployerError {
  const message = 'Cannot watch services: the listener threw an error; see the cause'
  return new DeployerError('internal-error', message, { cause })
}

/** Converts milliseconds to the engine's format: seconds, a dot, nanoseconds. */
function engineTime(timeMs: number): string {
  const whole = Math.max(0, Math.floor(timeMs))
  return `${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, '0')}000000`
}
