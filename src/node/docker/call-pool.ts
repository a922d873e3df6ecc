// Limits calls of one kind: how many run at a time, how many wait, and how long they wait.

/** Limits of a pool. */
export interface CallPoolLimits {
  /** Maximum number of calls that run at a time. */
  readonly maxRunning: number
  /** Maximum number of calls that wait. */
  readonly maxWaiting: number
  /** How long a call may wait, in milliseconds. */
  readonly maxWaitMs: number
}

/** The call was not made, because too many others run or wait. */
export class PoolFullError extends Error {
  override readonly name = 'PoolFullError'
}

/** Runs calls within limits. */
export interface CallPool {
  /**
   * Runs a call as soon as fewer calls than the maximum run, in the order of arrival.
   *
   * @param call The call.
   * @returns The result of the call.
   * @throws PoolFullError if the call was not made, and the error of the call.
   */
  run<T>(call: () => Promise<T>): Promise<T>
}

/**
 * Creates a pool.
 *
 * @param limits Limits of the pool.
 * @returns The pool.
 */
export function createCallPool({ maxRunning, maxWaiting, maxWaitMs }: CallPoolLimits): CallPool {
  const waiting = new Set<() => void>()
  let running = 0

  /** Starts the call that has waited longest, so that no newer call precedes it. */
  function release(): void {
    const [next] = waiting
    if (next === undefined) {
      running -= 1
    } else {
      next()
    }
  }

  function enter(): Promise<void> {
    if (running < maxRunning) {
      running += 1
      return Promise.resolve()
    }
    if (waiting.size >= maxWaiting) {
      return Promise.reject(new PoolFullError(`${maxRunning} calls run and ${maxWaiting} wait`))
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        clearTimeout(timer)
        waiting.delete(start)
        resolve()
      }
      const timer = setTimeout(() => {
        waiting.delete(start)
        reject(new PoolFullError(`none of ${maxRunning} calls ended within ${maxWaitMs} ms`))
      }, maxWaitMs)
      waiting.add(start)
    })
  }

  return {
    async run(call) {
      await enter()
      try {
        return await call()
      } finally {
        release()
      }
    },
  }
}

/** Pools with equal limits, one for each key. */
export interface KeyedCallPools {
  /**
   * Runs a call in the pool of its key.
   *
   * @param key The key.
   * @param call The call.
   * @returns The result of the call.
   * @throws PoolFullError if the call was not made, and the error of the call.
   */
  run<T>(key: string, call: () => Promise<T>): Promise<T>
}

/**
 * Creates pools. A pool exists only as long as it has calls.
 *
 * @param limits Limits of each pool.
 * @returns The pools.
 */
export function createKeyedCallPools(limits: CallPoolLimits): KeyedCallPools {
  const pools = new Map<string, { readonly pool: CallPool; calls: number }>()
  return {
    async run(key, call) {
      const entry = pools.get(key) ?? { pool: createCallPool(limits), calls: 0 }
      pools.set(key, entry)
      entry.calls += 1
      try {
        return await entry.pool.run(call)
      } finally {
        entry.calls -= 1
        if (entry.calls === 0) {
          pools.delete(key)
        }
      }
    },
  }
}
