// The log lines of requests for a deployment: one each.

import type { Context, MiddlewareHandler } from 'hono'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { shortened } from './paths.ts'
import { statusOf } from './problem.ts'

/** What the line of a request tells, filled in as the request goes on. */
export interface LogFields {
  service: string
  serviceId?: string
  image?: string
  resolved?: string
  previous?: string
  verdict?: string
  deploymentId?: string
  /** Whether the caller only asked what would happen. */
  dryRun?: true
}

/** What {@link requestLog} puts on the context. */
export interface LogEnv {
  Variables: {
    deployerLogFields: LogFields
    /** Writes the log line of an accepted deployment immediately: its caller may wait for long. */
    deployerLogAccepted: (fields: LogFields) => void
  }
}

// Whoever knows no token shall not fill the disk.
const UNAUTHORIZED_LINES_A_SECOND = 20

/**
 * Middleware that writes `deployment tried` (a dry run) or `deployment refused`, with the fields that
 * the handler put into `deployerLogFields`; the handler itself says when one is accepted.
 *
 * @param logger Gets the lines.
 * @param serviceName Tells the name that the path holds; shown shortened.
 * @returns A named Hono middleware.
 */
export function requestLog(
  logger: Logger,
  serviceName: (c: Context) => string,
): MiddlewareHandler<LogEnv> {
  return async function requestLog(c, next) {
    const startedAt = performance.now()
    const durationMs = (): number => Math.round(performance.now() - startedAt)
    c.set('deployerLogFields', { service: shortened(serviceName(c)) })
    c.set('deployerLogAccepted', (fields) => {
      logger.info({ ...fields, durationMs: durationMs() }, 'deployment accepted')
    })
    await next()
    const fields = { ...c.get('deployerLogFields'), status: c.res.status, durationMs: durationMs() }
    if (c.error !== undefined) {
      const level = c.res.status < 500 ? 'warn' : 'error'
      logger[level]({ ...fields, ...described(c.error) }, 'deployment refused')
    } else if (fields.dryRun) {
      logger.info(fields, 'deployment tried')
    }
  }
}

/**
 * Writes `deployment refused` for requests without the token, at most 20 times a second. The next
 * line after that has the number of the others as `leftOut`.
 *
 * @param logger Gets the lines.
 * @param serviceName Tells the name that the path holds; shown shortened.
 * @returns A function that is told of each such request.
 */
export function unauthorizedLog(
  logger: Logger,
  serviceName: (c: Context) => string,
): (c: Context, error: DeployerError) => void {
  let second = 0
  let lines = 0
  let leftOut = 0
  return (c, error) => {
    const now = Math.floor(performance.now() / 1000)
    lines = now === second ? lines + 1 : 1
    second = now
    if (lines > UNAUTHORIZED_LINES_A_SECOND) {
      leftOut += 1
      return
    }
    const fields = {
      service: shortened(serviceName(c)),
      status: statusOf(error.code),
      ...described(error),
      ...(leftOut === 0 ? {} : { leftOut }),
    }
    leftOut = 0
    logger.warn(fields, 'deployment refused')
  }
}

function described(error: Error): Readonly<Record<string, string>> {
  if (error instanceof DeployerError) {
    const { code, message, cause } = error
    return { code, reason: message, ...(cause instanceof Error ? { cause: cause.message } : {}) }
  }
  return 'getResponse' in error
    ? { code: 'http-error', reason: error.message }
    : { code: 'internal-error', reason: 'see the line "request failed"' }
}
