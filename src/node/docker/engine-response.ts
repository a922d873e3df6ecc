// Reads whole responses of the engine, and turns those with another status than expected into errors.

import type { IncomingMessage } from 'node:http'
import { EngineHttpError } from './engine-http-error.ts'
import { ConnectionLostError, readChunks } from './round-trip.ts'

/** Status and body of a response. */
export interface EngineResponse {
  readonly statusCode: number
  readonly bytes: Buffer
}

const MAX_MESSAGE_LENGTH = 1000
// A task takes some kilobytes, so thousands of tasks with their history fit.
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024

/**
 * Reads a response to its end.
 *
 * @param response The response.
 * @returns Status and body.
 * @throws ConnectionLostError if the connection breaks, or if the body is longer than 64 MiB.
 */
export async function readResponse(response: IncomingMessage): Promise<EngineResponse> {
  const chunks: Buffer[] = []
  let length = 0
  await readChunks(response, (chunk) => {
    chunks.push(chunk)
    length += chunk.length
    if (length > MAX_RESPONSE_BYTES) {
      const text = `the response is longer than ${MAX_RESPONSE_BYTES} bytes`
      throw new ConnectionLostError(new Error(text))
    }
  })
  return { statusCode: response.statusCode ?? 0, bytes: Buffer.concat(chunks) }
}

/** The response that is expected. */
export interface ExpectedBody {
  /** The status. */
  readonly status: number
  /** Parses the bytes of a response with that status. */
  readonly parse: (bytes: Buffer) => unknown
}

/**
 * Parses the body of a response.
 *
 * @param response The response.
 * @param expected The status, and how the body is parsed.
 * @returns What `parse` returns.
 * @throws EngineHttpError if the status is another one, or if `parse` throws.
 */
export async function parseBody(
  response: EngineResponse,
  { status, parse }: ExpectedBody,
): Promise<unknown> {
  const { statusCode, bytes } = response
  if (statusCode !== status) {
    throw toHttpError(response)
  }
  try {
    return await parse(bytes)
  } catch {
    const text = `not JSON: ${bytes.toString('utf8', 0, 400).slice(0, 100)}`
    throw new EngineHttpError(statusCode, text, { isEngineMessage: false })
  }
}

/**
 * Creates the error for a response with another status than expected. Its body is `{"message": "…"}`, or plain text
 * from proxies and from engines (28.5 and 29) that refuse an old API version.
 *
 * @param response The response.
 * @returns The error, with the first 1000 characters of the message.
 */
export function toHttpError({ statusCode, bytes }: EngineResponse): EngineHttpError {
  const text = bytes.toString()
  const engineMessage = parseMessage(text)
  const message = (engineMessage ?? text.trim()).slice(0, MAX_MESSAGE_LENGTH)
  const isEngineMessage = engineMessage !== undefined
  return new EngineHttpError(statusCode, message, { isEngineMessage })
}

function parseMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text)
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}
