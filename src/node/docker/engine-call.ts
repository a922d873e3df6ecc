// Calls of the engine whose failures are told as callers are shown them, and whose answers are looked at.

import { DeployerError } from '../../errors.ts'
import { engineError } from './engine-error.ts'
import { EngineHttpError } from './modem.ts'

/**
 * Calls the engine.
 *
 * @param action What is tried, such as `inspect service "blog"`.
 * @param call The call.
 * @returns What it gives.
 * @throws DeployerError as {@link engineError} tells; one that the call throws stays as it is.
 */
export async function engineCall<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw error instanceof DeployerError ? error : engineError(error, action)
  }
}

/** What an answer must be. */
export interface Shape<T> {
  /** As in `a list of nodes`. */
  readonly name: string
  readonly fits: (answer: unknown) => answer is T
}

/**
 * Calls the engine and holds the answer to a shape: whoever else answers at its address, that 200
 * must not pass for the engine's.
 *
 * @param action What is tried.
 * @param shape What the answer must be.
 * @param call The call.
 * @returns The answer.
 * @throws DeployerError as {@link engineCall}; `engine-error` for an answer of another shape.
 */
export function engineCallFor<T>(
  action: string,
  { name, fits }: Shape<T>,
  call: () => Promise<unknown>,
): Promise<T> {
  return engineCall(action, async () => {
    const answer = await call()
    if (!fits(answer)) {
      throw new EngineHttpError(200, `the answer is not ${name}`)
    }
    return answer
  })
}
