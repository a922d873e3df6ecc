// One HTTP request to the engine, from its start to the end of the response or to the first error.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { errorMessage } from '../../text/error-message.ts'

/** The connection broke after it was established, so the engine may have received the request. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'

  /** @param cause The error of the connection, or a {@link TimeoutError}. */
  constructor(cause: Error) {
    super(errorMessage(cause), { cause })
  }
}

/** Something did not happen in time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'

  /**
   * @param timeoutMs The timeout, in milliseconds.
   * @param missing What did not come in time. Default: `answer`.
   */
  constructor(timeoutMs: number, missing = 'answer') {
    super(`no ${missing} within ${timeoutMs} ms`)
  }
}

/** Body, timeout and reader of a round trip. */
export interface RoundTripOptions<T> {
  readonly body?: string | undefined
  /**
   * How long waiting for a free connection may take, in milliseconds, and again how long the rest
   * may take, unless `read` stops the timer.
   */
  readonly timeoutMs: number
  /** Reads the response. If it rejects, the round trip rejects with the same error. */
  readonly read: (response: IncomingMessage, stopTimer: () => void) => Promise<T>
}

/**
 * Sends a request and reads its response.
 *
 * @param outgoing The request, not yet ended.
 * @param options Body, timeout and reader.
 * @returns What `read` returns.
 * @throws ConnectionLostError if the engine may have received the request, otherwise the error of
 *   the connection. The connection is destroyed in both cases.
 */
export function roundTrip<T>(outgoing: ClientRequest, options: RoundTripOptions<T>): Promise<T> {
  const { body, timeoutMs, read } = options
  return new Promise((resolve, reject) => {
    let hasResponse = false
    let mayBeSent = false
    const stopTimer = (): void => clearTimeout(timer)
    const abandon = (error: unknown): void => {
      stopTimer()
      reject(error)
      outgoing.destroy()
    }
    const fail = (error: Error): void => abandon(mayBeSent ? new ConnectionLostError(error) : error)
    let timer = setTimeout(() => fail(new TimeoutError(timeoutMs, 'free connection')), timeoutMs)
    outgoing.on('socket', (socket) => {
      clearTimeout(timer)
      timer = setTimeout(() => fail(new TimeoutError(timeoutMs)), timeoutMs)
      // A kept-alive socket is connected already. Whether an ssh program is connected is unknown.
      mayBeSent = socket.connecting !== true
      if (!mayBeSent) {
        socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
          mayBeSent = true
        })
      }
    })
    outgoing.on('error', fail)
    // Some requests end with this event only, such as one that is answered with 101.
    outgoing.on('close', () => {
      if (!hasResponse) {
        fail(new Error('the connection was closed'))
      }
    })
    outgoing.on('response', (response) => {
      hasResponse = true
      read(response, stopTimer).then((value) => {
        stopTimer()
        resolve(value)
      }, abandon)
    })
    outgoing.end(body)
  })
}

/**
 * Reads a response in chunks.
 *
 * @param response The response.
 * @param take Receives each chunk; the promise rejects with the error that it throws.
 * @returns Nothing; resolves at the end of the response.
 * @throws ConnectionLostError if the connection breaks before the end.
 */
export function readChunks(
  response: IncomingMessage,
  take: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    response.on('data', (chunk: Buffer) => {
      try {
        take(chunk)
      } catch (error) {
        reject(error)
        response.destroy()
      }
    })
    response.on('end', resolve)
    response.on('error', (error) => reject(new ConnectionLostError(error)))
    response.on('close', () => {
      // Creating errors with their stacks for each good response would cost more than reading it.
      if (!response.readableEnded) {
        reject(new ConnectionLostError(new Error('the connection was closed')))
      }
    })
  })
}
