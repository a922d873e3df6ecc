// Whose turn it is to write a service: one write at a time, the latest wish first, and the earlier
// ones need not be written any more.

import { isRequestError } from '../errors.ts'

/** A wish that wants to be written. */
export interface WriteRequest<T> {
  /** Grows from request to request, in the order in which they came in. */
  readonly order: number
  /** Of two requests with the same key, one write does for both. */
  readonly key: string
  /**
   * Writes.
   *
   * @param hasWaited Whether somebody else wrote since the request entered.
   */
  write(hasWaited: boolean): Promise<T>
}

/** What a turn gave: the own write, or that of a later request that came first. */
export type WriteResult<T> =
  | { readonly kind: 'written'; readonly value: T }
  | { readonly kind: 'superseded'; readonly by: T }

/** The queues of all services of the process. */
export interface ServiceQueues<T> {
  /**
   * Waits for the turn of a request.
   *
   * @param serviceId The service's full ID.
   * @param request The request.
   * @returns What its turn gave.
   * @throws Whatever `write` threw, here or for a request with the same key. A fault of the engine
   *   ends all that wait: each would wait for it as long again.
   */
  enter(serviceId: string, request: WriteRequest<T>): Promise<WriteResult<T>>
}

interface Waiting<T> extends Pick<WriteRequest<T>, 'key' | 'write'> {
  order: number
  hasWaited: boolean
  readonly turn: Promise<WriteResult<T>>
  readonly resolve: (turn: WriteResult<T>) => void
  readonly reject: (error: unknown) => void
}

interface ServiceQueue<T> {
  /** The one that is being written is among them. */
  readonly waiting: Waiting<T>[]
  isServed: boolean
  /** The latest request that was written; an earlier one may still come in. */
  latest?: { readonly order: number; readonly key: string; readonly value: T }
}

const MAX_LINES = 1000

/**
 * Makes the queues.
 *
 * @returns The queues, all empty. What was written last is known for a thousand services.
 */
export function createServiceQueues<T>(): ServiceQueues<T> {
  const lines = new Map<string, ServiceQueue<T>>()

  async function serve(line: ServiceQueue<T>): Promise<void> {
    line.isServed = true
    while (line.waiting.length > 0) {
      const next = line.waiting.reduce((one, other) => (other.order > one.order ? other : one))
      const { latest } = line
      if (latest !== undefined && latest.order > next.order) {
        leave(line, latest)
      } else {
        await serveOne(line, next)
      }
    }
    line.isServed = false
  }

  async function serveOne(line: ServiceQueue<T>, next: Waiting<T>): Promise<void> {
    try {
      const value = await next.write(next.hasWaited)
      line.latest = { order: next.order, key: next.key, value }
      remove(line, next)
      next.resolve({ kind: 'written', value })
      leave(line, line.latest)
    } catch (error) {
      remove(line, next)
      next.reject(error)
      if (!isRequestError(error)) {
        for (const other of line.waiting.splice(0)) {
          other.reject(error)
        }
      }
    }
    for (const other of line.waiting) {
      other.hasWaited = true
    }
  }

  /** Those that came in before what was written need not be written; later ones stay. */
  function leave(
    line: ServiceQueue<T>,
    { order, key, value }: NonNullable<ServiceQueue<T>['latest']>,
  ): void {
    for (const other of line.waiting.filter((one) => one.order < order)) {
      remove(line, other)
      other.resolve(
        other.key === key ? { kind: 'written', value } : { kind: 'superseded', by: value },
      )
    }
  }

  return {
    enter(serviceId, request) {
      const line = lineOf(serviceId)
      const twin = line.waiting.find(({ key }) => key === request.key)
      if (twin !== undefined) {
        twin.order = Math.max(twin.order, request.order)
        return twin.turn
      }
      const entry = waitingEntry(request)
      line.waiting.push(entry)
      if (!line.isServed) {
        void serve(line)
      }
      return entry.turn
    },
  }

  function lineOf(serviceId: string): ServiceQueue<T> {
    const line = lines.get(serviceId) ?? { waiting: [], isServed: false }
    lines.delete(serviceId)
    lines.set(serviceId, line)
    if (lines.size > MAX_LINES) {
      const idle = [...lines].find(([, { isServed }]) => !isServed)
      lines.delete(idle?.[0] ?? '')
    }
    return line
  }
}

function remove<T>(line: ServiceQueue<T>, entry: Waiting<T>): void {
  line.waiting.splice(line.waiting.indexOf(entry), 1)
}

function waitingEntry<T>(request: WriteRequest<T>): Waiting<T> {
  let settle: Pick<Waiting<T>, 'resolve' | 'reject'> = { resolve() {}, reject() {} }
  const turn = new Promise<WriteResult<T>>((resolve, reject) => {
    settle = { resolve, reject }
  })
  const { order, key } = request
  const write = (hasWaited: boolean): Promise<T> => request.write(hasWaited)
  return { order, key, write, hasWaited: false, turn, ...settle }
}
