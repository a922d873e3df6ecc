// The header `Accept` (RFC 9110 section 12.5.1): which kind of response the caller wants.

import type { Context } from 'hono'

/**
 * Whether a caller prefers plain text over JSON. One that accepts everything, as curl does, gets JSON.
 *
 * @param accept The header; undefined when there is none.
 * @returns True when the header names `text/plain` with a higher quality than `application/json`. Where
 *   it does not name JSON, the quality of a range that includes JSON may be equal too.
 */
export function prefersText(accept: string | undefined): boolean {
  const qualities = new Map(accept?.split(',').map(readRange))
  const text = qualities.get('text/plain') ?? 0
  const json = qualities.get('application/json')
  const ranges = qualities.get('application/*') ?? qualities.get('*/*') ?? 0
  return text > 0 && (json === undefined ? text >= ranges : text > json)
}

/**
 * Whether the caller wants the rollout as a stream of events.
 *
 * @param c The request's context.
 * @returns True when `Accept` names `text/event-stream`. False for HEAD: its response has no body, and
 *   nothing would end the stream.
 */
export function wantsEvents(c: Context): boolean {
  if (c.req.method === 'HEAD') {
    return false
  }
  const accept = c.req.header('Accept') ?? ''
  return accept.split(',').some((range) => range.split(';')[0]?.trim() === 'text/event-stream')
}

/** A quality that is not a number counts as 1. */
function readRange(range: string): readonly [type: string, quality: number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters
    .find((parameter) => /^q\s*=/.test(parameter))
    ?.split('=')[1]
    ?.trim()
  const value = Number(quality || '1')
  return [type, Number.isNaN(value) ? 1 : value]
}
