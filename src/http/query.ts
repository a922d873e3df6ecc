// The query parameters of a request.

import type { Context } from 'hono'
import { DeployerError } from '../errors.ts'
import { parseDuration } from '../text/duration.ts'
import { checkNames } from './known-names.ts'

const MAX_WAIT_MS = 60 * 60 * 1000

/**
 * Checks the names of the query's parameters. A misspelled one would otherwise be ignored, and
 * `?dryrun=true` would deploy.
 *
 * @param c The request's context.
 * @throws DeployerError `malformed-request` for a known name in another spelling, one that belongs in
 *   the body, or a known name that is repeated.
 */
export function checkQueryNames(c: Context): void {
  const { url } = c.req
  const start = url.indexOf('?')
  if (start !== -1) {
    checkNames('query', [...new URLSearchParams(url.slice(start)).keys()])
  }
}

/**
 * Reads how long the caller wants to wait for the verdict.
 *
 * @param c The request's context.
 * @returns Milliseconds; undefined when the caller does not wait.
 * @throws DeployerError `malformed-request` when `wait` is not a duration, or longer than an hour.
 */
export function readWait(c: Context): number | undefined {
  const text = c.req.query('wait')
  const milliseconds = text === undefined ? undefined : parseDuration(text)
  if (text !== undefined && (milliseconds === undefined || milliseconds > MAX_WAIT_MS)) {
    throw new DeployerError(
      'malformed-request',
      `Cannot wait ${JSON.stringify(text.slice(0, 100))}: "wait" must be seconds, such as 50 or 50s, or minutes, such as 5m, and at most 1h`,
    )
  }
  return milliseconds
}

/**
 * Reads whether the request is a dry run.
 *
 * @param c The request's context.
 * @returns True for `?dryRun=true`.
 * @throws DeployerError `malformed-request` for a value other than `true` and `false`.
 */
export function readDryRun(c: Context): boolean {
  const text = c.req.query('dryRun') ?? 'false'
  if (text !== 'true' && text !== 'false') {
    throw new DeployerError(
      'malformed-request',
      `Cannot read dryRun ${JSON.stringify(text.slice(0, 100))}: it must be true or false`,
    )
  }
  return text === 'true'
}
