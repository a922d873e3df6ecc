// One HTTP exchange with the engine: from the request to the end of its answer, or to what broke it.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { errorMessage } from '../../text/error-message.ts'

/** The connection stood, and the request may have got through; then something broke. */
export class ConnectionLostError extends Error {
  override readonly name = 'BrokenExchange'

  /** @param cause What broke. */
  constructor(cause: Error) {
    super(errorMessage(cause), { cause })
  }
}

/** The time was up before the answer was there. */
export class TimeoutError extends Error {
  override readonly name = 'Overdue'

  /**
   * @param timeoutMs How long it might have taken, in milliseconds.
   * @param missing What was not there in time. Default: the answer.
   */
  constructor(timeoutMs: number, missing = 'answer') {
    super(`no ${missing} within ${timeoutMs} ms`)
  }
}

/** What to send, how long to wait, and how to read. */
export interface RoundTripOptions<T> {
  readonly body?: string | undefined
  /**
   * The longest that all of it may take from the moment on when it has its connection, in
   * milliseconds, unless `read` stops the clock. Waiting for a free connection takes as long at most.
   */
  readonly timeoutMs: number
  /** Reads the answer. It rejects with what the exchange is to reject with. */
  readonly read: (response: IncomingMessage, stopClock: () => void) => Promise<T>
}

/**
 * Sends a request and reads its answer.
 *
 * @param outgoing The request, which nobody has ended yet.
 * @param options What to send, how long to wait, and how to read.
 * @returns What `read` made of the answer.
 * @throws BrokenExchange when the request may have got through, and else the connection's error;
 *   the connection is gone in both cases.
 */
export function roundTrip<T>(outgoing: ClientRequest, options: RoundTripOptions<T>): Promise<T> {
  const { body, timeoutMs, read } = options
  return new Promise((resolve, reject) => {
    let hasResponse = false
    let mayBeSent = false
    const stopClock = (): void => clearTimeout(timer)
    const giveUp = (error: unknown): void => {
      stopClock()
      reject(error)
      outgoing.destroy()
    }
    const fail = (error: Error): void => giveUp(mayBeSent ? new ConnectionLostError(error) : error)
    let timer = setTimeout(() => fail(new TimeoutError(timeoutMs, 'free connection')), timeoutMs)
    outgoing.on('socket', (socket) => {
      clearTimeout(timer)
      timer = setTimeout(() => fail(new TimeoutError(timeoutMs)), timeoutMs)
      // A kept-alive socket stands already; of an ssh program nobody knows.
      mayBeSent = socket.connecting !== true
      if (!mayBeSent) {
        socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
          mayBeSent = true
        })
      }
    })
    outgoing.on('error', fail)
    // Node ends some exchanges, such as one answered 101, with nothing but this.
    outgoing.on('close', () => {
      if (!hasResponse) {
        fail(new Error('the connection was closed'))
      }
    })
    outgoing.on('response', (response) => {
      hasResponse = true
      read(response, stopClock).then((value) => {
        stopClock()
        resolve(value)
      }, giveUp)
    })
    outgoing.end(body)
  })
}

/**
 * Reads an answer piece by piece.
 *
 * @param response The answer.
 * @param take Takes each piece; what it throws, the promise rejects with.
 * @returns Nothing, once the answer has come to its end.
 * @throws BrokenExchange when the connection breaks before.
 */
export function readPieces(
  response: IncomingMessage,
  take: (piece: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    response.on('data', (piece: Buffer) => {
      try {
        take(piece)
      } catch (error) {
        reject(error)
        response.destroy()
      }
    })
    response.on('end', resolve)
    response.on('error', (error) => reject(new ConnectionLostError(error)))
    response.on('close', () => {
      // Two errors with their stacks for each good answer would cost more than reading it.
      if (!response.readableEnded) {
        reject(new ConnectionLostError(new Error('the connection was closed')))
      }
    })
  })
}
