// A promise that is resolved from outside. (Node 20 has no `Promise.withResolvers`.)

/**
 * Creates a promise.
 *
 * @returns The promise, and the function that resolves it.
 */
export function createDeferred<T>(): readonly [Promise<T>, (value: T) => void] {
  let resolve = (_: T): void => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return [promise, resolve]
}
