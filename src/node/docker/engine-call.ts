// Engine calls with mapped errors and validated responses.

import { DeployerError } from '../../errors.ts'
import { engineError } from './engine-error.ts'
import { EngineHttpError } from './engine-http-error.ts'

/**
 * Calls the engine.
 *
 * @param action The attempted action, such as `inspect service "blog"`.
 * @param call The call.
 * @returns The result of the call.
 * @throws DeployerError as {@link engineError} returns it; a DeployerError of the call is not
 *   changed.
 */
export async function engineCall<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw error instanceof DeployerError ? error : engineError(error, action)
  }
}

/** The form that a response must have. */
export interface ExpectedResponse<T> {
  /** Name for messages, such as `a list of nodes`. */
  readonly name: string
  readonly matches: (body: unknown) => body is T
}

/**
 * Calls the engine and validates the response: a 200 of another server at its address must not be
 * taken for that of the engine.
 *
 * @param action The attempted action.
 * @param expected The form that the response must have.
 * @param call The call.
 * @returns The parsed body.
 * @throws DeployerError as {@link engineCall}; `engine-error` for a response of another form.
 */
export function engineCallFor<T>(
  action: string,
  { name, matches }: ExpectedResponse<T>,
  call: () => Promise<unknown>,
): Promise<T> {
  return engineCall(action, async () => {
    const body = await call()
    if (!matches(body)) {
      throw new EngineHttpError(200, `the response is not ${name}`)
    }
    return body
  })
}
