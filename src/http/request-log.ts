// The log lines of requests for a deployment: one line for each request.

import type { Context, MiddlewareHandler } from 'hono'
import { DeployerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { shortened } from './paths.ts'
import { statusOf } from './problem.ts'

/** The fields of a log line, which are set while the request is handled. */
export interface LogFields {
  service: string
  serviceId?: string
  image?: string
  resolved?: string
  previous?: string
  verdict?: string
  deploymentId?: string
  /** Whether the request was a dry run. */
  dryRun?: true
}

/** The context variables that {@link requestLog} sets. */
export interface LogEnv {
  Variables: {
    deployerLogFields: LogFields
    /** Writes the log line of an accepted deployment immediately, since its caller may wait for minutes. */
    deployerLogAccepted: (fields: LogFields) => void
  }
}

// Requests without the token must not fill the disk.
const UNAUTHORIZED_LINES_A_SECOND = 20

/**
 * Middleware that writes `deployment tried` (a dry run) or `deployment refused`, with the fields that
 * the handler set in `deployerLogFields`. The handler itself logs an accepted deployment.
 *
 * @param logger Receives the lines.
 * @param serviceName Returns the service name in the path; it is shortened.
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
 * @param logger Receives the lines.
 * @param serviceName Returns the service name in the path; it is shortened.
 * @returns A function to call for each such request.
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
