// Runs a function that reads a request, as a handler of the app does.

import { type Context, Hono } from 'hono'
import { DeployerError } from '../../src/errors.ts'

/** The value that a reader returned, or the code and message of the error that it threw. */
export interface ReadResult {
  readonly value?: unknown
  readonly code?: string
  readonly message?: string
}

/**
 * Calls a function of the HTTP layer with the context of a request.
 *
 * @param reader The function.
 * @param init The request.
 * @returns Its value, or its error.
 */
export async function readRequest(
  reader: (c: Context) => unknown,
  init: RequestInit & { readonly query?: string } = {},
): Promise<ReadResult> {
  const app = new Hono()
  let result = {}
  app.all('/', async (c) => {
    try {
      result = { value: await reader(c) }
    } catch (error) {
      const { code, message } = error instanceof DeployerError ? error : { code: '', message: '' }
      result = { code, message }
    }
    return c.body(null)
  })
  await app.request(`/${init.query ?? ''}`, init)
  return result
}
