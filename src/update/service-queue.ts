// Serialises the writes of a service, newest request first. Older requests need not be written: they are
// superseded, or get the result of the newer one when they have the same key.

import { LRUCache } from 'lru-cache'
import { isRequestError } from '../errors.ts'

/** A request to write a service. */
export interface WriteRequest<T> {
  /** Increases from request to request, in the order in which they arrive. */
  readonly order: number
  /** Two requests with the same key need only one write. */
  readonly key: string
  /**
   * Writes the service.
   *
   * @param hasWaited Whether another request was written since this one was enqueued.
   */
  write(hasWaited: boolean): Promise<T>
}

/** The result of a request: its own write, or that of a newer request that superseded it. */
export type WriteResult<T> =
  | { readonly kind: 'written'; readonly value: T }
  | { readonly kind: 'superseded'; readonly by: T }

/** The queues of all services of the process. */
export interface ServiceQueues<T> {
  /**
   * Enqueues a request.
   *
   * @param serviceId The service's full ID.
   * @param request The request.
   * @returns The result, once the request was written or superseded.
   * @throws What `write` threw, for this request or for one with the same key. An error that is not
   *   caused by the request rejects all requests of the queue: each would wait as long for the same one.
   */
  enqueue(serviceId: string, request: WriteRequest<T>): Promise<WriteResult<T>>
}

interface QueuedRequest<T> extends Pick<WriteRequest<T>, 'key' | 'write'> {
  order: number
  hasWaited: boolean
  readonly result: Promise<WriteResult<T>>
  readonly resolve: (result: WriteResult<T>) => void
  readonly reject: (error: unknown) => void
}

/** The newest request of a service that was written; an older one may still arrive. */
interface LatestWrite<T> extends Pick<WriteRequest<T>, 'order' | 'key'> {
  readonly value: T
}

interface ServiceQueue<T> {
  /** The request that is being written is among them. */
  readonly requests: QueuedRequest<T>[]
  latest: LatestWrite<T> | undefined
}

const MAX_LATEST_WRITES = 1000

/**
 * Creates the queues.
 *
 * @returns The queues, all empty. The latest write is remembered for a thousand services.
 */
export function createServiceQueues<T>(): ServiceQueues<T> {
  // The queues that are being drained. The others are empty, and only their latest write is kept.
  const queues = new Map<string, ServiceQueue<T>>()
  const latestWrites = new LRUCache<string, LatestWrite<T>>({ max: MAX_LATEST_WRITES })

  async function drain(serviceId: string, queue: ServiceQueue<T>): Promise<void> {
    queues.set(serviceId, queue)
    while (queue.requests.length > 0) {
      const next = queue.requests.reduce((one, other) => (other.order > one.order ? other : one))
      const { latest } = queue
      if (latest !== undefined && latest.order > next.order) {
        supersedeOlder(queue, latest)
      } else {
        await writeNext(queue, next)
      }
    }
    queues.delete(serviceId)
    if (queue.latest !== undefined) {
      latestWrites.set(serviceId, queue.latest)
    }
  }

  return {
    enqueue(serviceId, request) {
      const draining = queues.get(serviceId)
      const queue = draining ?? { requests: [], latest: latestWrites.get(serviceId) }
      const duplicate = queue.requests.find(({ key }) => key === request.key)
      if (duplicate !== undefined) {
        duplicate.order = Math.max(duplicate.order, request.order)
        return duplicate.result
      }
      const queued = queuedRequest(request)
      queue.requests.push(queued)
      if (draining === undefined) {
        void drain(serviceId, queue)
      }
      return queued.result
    },
  }
}

async function writeNext<T>(queue: ServiceQueue<T>, next: QueuedRequest<T>): Promise<void> {
  try {
    const value = await next.write(next.hasWaited)
    queue.latest = { order: next.order, key: next.key, value }
    remove(queue, next)
    next.resolve({ kind: 'written', value })
    supersedeOlder(queue, queue.latest)
  } catch (error) {
    remove(queue, next)
    next.reject(error)
    if (!isRequestError(error)) {
      for (const other of queue.requests.splice(0)) {
        other.reject(error)
      }
    }
  }
  for (const other of queue.requests) {
    other.hasWaited = true
  }
}

/** Resolves the requests that are older than a write; newer ones stay in the queue. */
function supersedeOlder<T>(queue: ServiceQueue<T>, { order, key, value }: LatestWrite<T>): void {
  for (const older of queue.requests.filter((one) => one.order < order)) {
    remove(queue, older)
    older.resolve(
      older.key === key ? { kind: 'written', value } : { kind: 'superseded', by: value },
    )
  }
}

function remove<T>({ requests }: ServiceQueue<T>, request: QueuedRequest<T>): void {
  requests.splice(requests.indexOf(request), 1)
}

function queuedRequest<T>(request: WriteRequest<T>): QueuedRequest<T> {
  let settle: Pick<QueuedRequest<T>, 'resolve' | 'reject'> = { resolve() {}, reject() {} }
  const result = new Promise<WriteResult<T>>((resolve, reject) => {
    settle = { resolve, reject }
  })
  const { order, key } = request
  const write = (hasWaited: boolean): Promise<T> => request.write(hasWaited)
  return { order, key, write, hasWaited: false, result, ...settle }
}
