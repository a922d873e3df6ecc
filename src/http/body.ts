// A request's body as text, up to a limit. (Hono's bodyLimit fails on a body that a gateway's
// middleware has read, and on an incomplete one.)

import type { Context } from 'hono'
import { DeployerError } from '../errors.ts'

const MAX_BYTES = 64 * 1024
const REMEDY = 'send {"image": "name:tag"}'

/**
 * Reads a request's body.
 *
 * @param c The request's context.
 * @returns The body, as UTF-8 text; empty when there is none.
 * @throws DeployerError `body-too-large` above 64 KiB, `malformed-request` when it is incomplete.
 */
export async function bodyText(c: Context): Promise<string> {
  const declared = c.req.header('Content-Length')
  if (declared !== undefined && Number(declared) > MAX_BYTES) {
    throw tooLarge()
  }
  // A server enforces the declared length, and Hono keeps a body that was read before.
  const isBounded = declared !== undefined || c.req.raw.bodyUsed
  const text = await (isBounded ? c.req.text() : readText(c.req.raw.body)).catch((cause) => {
    throw cause instanceof DeployerError ? cause : malformedBody('it is incomplete', cause)
  })
  if (text.length > MAX_BYTES) {
    throw tooLarge()
  }
  return text
}

/**
 * Creates the error of an invalid body.
 *
 * @param fault The mistake, as the part of a sentence.
 * @param cause The error that was caught, if any.
 * @returns A DeployerError `malformed-request`.
 */
export function malformedBody(fault: string, cause?: unknown): DeployerError {
  const message = `Cannot read the request body: ${fault}; ${REMEDY}`
  return new DeployerError('malformed-request', message, { cause })
}

async function readText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder()
  const reader = body?.getReader()
  let text = ''
  let length = 0
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true }
    if (done) {
      return text + decoder.decode()
    }
    length += value.length
    if (length > MAX_BYTES) {
      await reader?.cancel()
      throw tooLarge()
    }
    text += decoder.decode(value, { stream: true })
  }
}

function tooLarge(): DeployerError {
  return new DeployerError(
    'body-too-large',
    `Cannot read a request body of more than ${MAX_BYTES} bytes: ${REMEDY}`,
  )
}
