// The engine's streams: what a task wrote, and what happens to services.

import type { IncomingHttpHeaders } from 'node:http'
import { DeployerError } from '../../errors.ts'
import type { ServiceListener, WatchOptions } from '../../swarm/swarm.ts'
import { engineCall } from './engine-call.ts'
import { filterQuery } from './filter-query.ts'
import { createLineSplitter } from './lines.ts'
import type { Modem } from './modem.ts'
import { parseServiceEvent } from './service-event.ts'
import { createLogTail, type LogTail } from './task-log.ts'

// The log of a task on a node that is gone never ends.
const LOG_TIMEOUT_MS = 3000
const MAX_EVENT_BYTES = 64 * 1024

/**
 * Reads what a task wrote last.
 *
 * @param modem Reaches the engine.
 * @param taskId The task's ID.
 * @param lines How many lines at most.
 * @returns What came within 3 s, at most 8 KiB; empty when there is nothing to be had.
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
        piece: (piece) => tail?.push(piece),
      },
    )
  } catch {
    // What came before it broke is worth reading.
  }
  return tail?.text() ?? ''
}

/**
 * Tells of every change of every service.
 *
 * @param modem Reaches the engine.
 * @param listener Is told.
 * @param options When to end, and from when on.
 * @returns Nothing, once the stream has ended or the signal aborts.
 * @throws DeployerError as {@link engineCall}; `internal-error` when the listener throws.
 */
export function watchServices(
  modem: Modem,
  listener: ServiceListener,
  { signal, sinceMs }: WatchOptions,
): Promise<void> {
  const since = sinceMs === undefined ? {} : { since: engineTime(sinceMs) }
  const query = { ...filterQuery({ type: ['service'] }), ...since }
  /** The listener may have ended the watch in the middle of a piece. */
  const tell = (act: () => void): void => {
    if (!signal.aborted) {
      guarded(act)
    }
  }
  const piece = createLineSplitter(MAX_EVENT_BYTES, (line) => {
    const event = parseServiceEvent(line)
    if (event !== undefined) {
      tell(() => listener.changed(event))
    }
  })
  const opened = (): void => tell(() => listener.opened())
  return engineCall('watch services', () =>
    modem.stream({ path: '/events?', query }, { signal, opened, piece }),
  )
}

/** A listener's own fault is no fault of the engine. */
function guarded(act: () => void): void {
  try {
    act()
  } catch (cause) {
    const message = 'Cannot watch services: the listener failed; read the cause'
    throw new DeployerError('internal-error', message, { cause })
  }
}

/** Seconds and nanoseconds. */
function engineTime(timeMs: number): string {
  const whole = Math.max(0, Math.floor(timeMs))
  return `${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, '0')}000000`
}
