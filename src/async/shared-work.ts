// Work that another caller has started.

import { waitFor } from './wait-for.ts'

// No call of an engine that works takes so long.
const PATIENCE_MS = 5000

/**
 * Waits for work that another caller has started, and starts it again when it takes too long: on a
 * runtime that ends a request's connections with the request, such as workerd, it may never settle.
 *
 * @param started The work of the other caller.
 * @param restart Starts the work again.
 * @returns What the work resolves to; it rejects as the work does.
 */
export async function joinWork<T>(started: Promise<T>, restart: () => Promise<T>): Promise<T> {
  let isSettled = false
  const settled = started.then(
    () => {
      isSettled = true
    },
    () => {
      isSettled = true
    },
  )
  await waitFor(settled, { timeoutMs: PATIENCE_MS, signals: [], isBackground: true })
  return isSettled ? started : restart()
}
