// A limit on calls of one kind: so many at a time, so many waiting, and no wait without an end.

/** The limits of a pool. */
export interface CallPoolLimits {
  /** How many calls run at a time. */
  readonly maxRunning: number
  /** How many more may wait for their turn. */
  readonly maxWaiting: number
  /** How long one waits, in milliseconds. */
  readonly maxWaitMs: number
}

/** The call was not made: too many others run or wait. */
export class PoolFullError extends Error {
  override readonly name = 'PoolFullError'
}

/** Runs calls within limits. */
export interface CallPool {
  /**
   * Runs a call when it is its turn, first come, first served.
   *
   * @param call The call.
   * @returns What the call gave.
   * @throws PoolFullError when the call was not made, and whatever it threw itself.
   */
  run<T>(call: () => Promise<T>): Promise<T>
}

/**
 * Creates a pool.
 *
 * @param limits Its limits.
 * @returns The pool; nothing runs.
 */
export function createCallPool({ maxRunning, maxWaiting, maxWaitMs }: CallPoolLimits): CallPool {
  const waiting = new Set<() => void>()
  let running = 0

  /** The place of a call that ends goes to the next one, so that no newer call takes it. */
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

/** Pools of the same limits, one for each key. */
export interface KeyedCallPools {
  /**
   * Runs a call in the pool of its key.
   *
   * @param key Whatever the calls are told apart by.
   * @param call The call.
   * @returns What the call gave.
   * @throws PoolFullError when the call was not made, and whatever it threw itself.
   */
  run<T>(key: string, call: () => Promise<T>): Promise<T>
}

/**
 * Creates pools; one exists only as long as it has calls.
 *
 * @param limits The limits of each.
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
