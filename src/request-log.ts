// One log line per request for a deployment, once its answer is known.

import type { MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { Logger } from './ports.ts'
import { DeployerError } from './problem.ts'

/** What the line of a request tells, filled in as the request goes on. */
export interface LogFields {
  service: string
  serviceId?: string
  image?: string
  previous?: string
}

/** What {@link requestLog} puts on the context. */
export interface LogEnv {
  Variables: { logFields: LogFields }
}

// Whoever knows no token shall not fill the disk: of more in a second, the next line tells the number.
const UNAUTHORIZED_LINES_A_SECOND = 20

/**
 * Middleware that writes `deployment accepted` or `deployment refused`, with the fields that the
 * handlers put into `logFields`. Of requests that are answered 401 at most 20 a second get a line; the
 * next one has the others' number as `leftOut`.
 *
 * @param logger Gets the lines.
 * @param serviceName Tells the name that the path holds; shown shortened.
 * @returns A named Hono middleware.
 */
export function requestLog(
  logger: Logger,
  serviceName: (c: Parameters<MiddlewareHandler>[0]) => string,
): MiddlewareHandler<LogEnv> {
  let second = 0
  let lines = 0
  let leftOut = 0

  function isLeftOut(status: number, now: number): boolean {
    if (status !== 401) {
      return false
    }
    const current = Math.floor(now / 1000)
    lines = current === second ? lines + 1 : 1
    second = current
    leftOut += lines > UNAUTHORIZED_LINES_A_SECOND ? 1 : 0
    return lines > UNAUTHORIZED_LINES_A_SECOND
  }

  return async function requestLog(c, next) {
    const startedAt = performance.now()
    c.set('logFields', { service: shortened(serviceName(c)) })
    await next()
    const now = performance.now()
    if (isLeftOut(c.res.status, now)) {
      return
    }
    const fields = {
      ...c.get('logFields'),
      status: c.res.status,
      durationMs: Math.round(now - startedAt),
      ...(leftOut === 0 ? {} : { leftOut }),
    }
    leftOut = 0
    if (c.error === undefined) {
      logger.info(fields, 'deployment accepted')
    } else {
      const level = c.res.status < 500 ? 'warn' : 'error'
      logger[level]({ ...fields, ...described(c.error) }, 'deployment refused')
    }
  }
}

function described(error: Error): Readonly<Record<string, string>> {
  if (error instanceof DeployerError) {
    const { code, message, cause } = error
    return { code, reason: message, ...(cause instanceof Error ? { cause: cause.message } : {}) }
  }
  return error instanceof HTTPException
    ? { code: 'http-error', reason: error.message }
    : { code: 'internal-error', reason: 'see the line "request failed"' }
}

/**
 * Cuts what a caller made long.
 *
 * @param text The text.
 * @returns Its first 200 characters.
 */
export function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
