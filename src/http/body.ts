// A request's body as text, up to a limit. (Hono's bodyLimit fails on a body that a gateway's
// middleware has read, and on one that breaks off.)

import type { Context } from 'hono'
import { DeployerError } from '../errors.ts'

const MAX_BYTES = 64 * 1024
const REMEDY = 'send {"image": "name:tag"}'

/**
 * Reads a request's body.
 *
 * @param c The request's context.
 * @returns The body, as UTF-8 text; empty when there is none.
 * @throws DeployerError `body-too-large` above 64 KiB, `malformed-request` when it breaks off.
 */
export async function bodyText(c: Context): Promise<string> {
  const declared = c.req.header('Content-Length')
  if (declared !== undefined && Number(declared) > MAX_BYTES) {
    throw tooLarge()
  }
  // A server holds a body to its declared length. One that was read already, Hono has kept.
  const isBounded = declared !== undefined || c.req.raw.bodyUsed
  const text = await (isBounded ? c.req.text() : textOf(c.req.raw.body)).catch((cause) => {
    throw cause instanceof DeployerError ? cause : malformedBody('it broke off', cause)
  })
  if (text.length > MAX_BYTES) {
    throw tooLarge()
  }
  return text
}

/**
 * The error of a body that was read and makes no sense.
 *
 * @param fault What is wrong with it.
 * @param cause The error that showed it, if any.
 * @returns A DeployerError `malformed-request`.
 */
export function malformedBody(fault: string, cause?: unknown): DeployerError {
  const message = `Cannot read the request body: ${fault}; ${REMEDY}`
  return new DeployerError('malformed-request', message, { cause })
}

async function textOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
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
    `Cannot read a request body of more than ${MAX_BYTES} bytes: ${REMEDY} alone`,
  )
}
