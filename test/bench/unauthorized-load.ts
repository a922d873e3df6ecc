// Sends requests with a wrong token over plain sockets, so that the client needs little CPU time.

import { connect } from 'node:net'

/** The result of a load. */
export interface LoadResult {
  readonly answers: number
  readonly milliseconds: number
}

/** The size of a load. */
export interface LoadOptions {
  readonly connections: number
  readonly milliseconds: number
}

const BODY = '{"image":"registry.example/team/app:v2"}'
const REQUEST = Buffer.from(
  [
    'PUT /service/bench-0 HTTP/1.1',
    'Host: 127.0.0.1',
    'Authorization: not-the-token-of-the-benchmark',
    'Content-Type: application/json',
    `Content-Length: ${BODY.length}`,
    '',
    BODY,
  ].join('\r\n'),
)

/**
 * Sends requests; each connection sends the next one after the complete response to the last.
 *
 * @param port A server on the loopback address that answers 401.
 * @param options Over how many connections, and for how long.
 * @returns Number of responses.
 * @throws Error if a response is not 401, or a connection fails.
 */
export async function sendUnauthorizedRequests(
  port: number,
  options: LoadOptions,
): Promise<LoadResult> {
  const startedAt = performance.now()
  const endAt = startedAt + options.milliseconds
  const connections = Array.from({ length: options.connections }, () => loadOne(port, endAt))
  const answers = (await Promise.all(connections)).reduce((total, count) => total + count, 0)
  return { answers, milliseconds: performance.now() - startedAt }
}

/** Opens a new connection when the server closes one after a response. */
async function loadOne(port: number, endAt: number): Promise<number> {
  let answers = 0
  while (performance.now() < endAt) {
    answers += await loadOneConnection(port, endAt)
  }
  return answers
}

function loadOneConnection(port: number, endAt: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let answers = 0
    // All responses on one connection have the same length, except the last one, which announces
    // that the server closes the connection and is shorter.
    let length = 0
    let received = 0
    socket.on('connect', () => socket.write(REQUEST))
    socket.on('error', reject)
    socket.on('close', () => {
      if (received > 0) {
        resolve(answers + 1)
      } else {
        reject(new Error('The server closed a connection without an answer'))
      }
    })
    socket.on('data', (chunk) => {
      if (received === 0) {
        if (chunk.toString('latin1', 9, 12) !== '401') {
          socket.destroy(new Error(`The answer is not 401: ${chunk.toString('latin1')}`))
          return
        }
        length ||= answerLength(chunk.toString('latin1'))
      }
      received += chunk.length
      if (received < length) return
      received = 0
      answers += 1
      if (performance.now() < endAt) {
        socket.write(REQUEST)
      } else {
        resolve(answers)
        socket.destroy()
      }
    })
  })
}

function answerLength(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n')
  const bodyLength = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
  if (headEnd === -1 || bodyLength === undefined) {
    throw new Error(`The answer's length is unknown: ${text}`)
  }
  return headEnd + 4 + Number(bodyLength)
}
