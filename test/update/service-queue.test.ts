import { describe, expect, test, vi } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { createServiceQueues, type WriteResult } from '../../src/update/service-queue.ts'

interface HeldWrite {
  readonly result: Promise<WriteResult<string>>
  complete(): void
  fail(error: unknown): void
}

/** A queue whose writes a test completes, and a record of the writes that started. */
function setUp() {
  const queue = createServiceQueues<string>()
  const started: string[] = []
  function enqueue(key: string, order: number, service = 'one'): HeldWrite {
    let settle = { complete(): void {}, fail(_: unknown): void {} }
    const written = new Promise<string>((resolve, reject) => {
      settle = { complete: () => resolve(`${key}#${order}`), fail: reject }
    })
    written.catch(() => {})
    const result = queue.enqueue(service, {
      order,
      key,
      write(hasWaited) {
        started.push(hasWaited ? `${key} after others` : key)
        return written
      },
    })
    result.catch(() => {})
    return { result, complete: () => settle.complete(), fail: (error) => settle.fail(error) }
  }
  return { started, enqueue }
}

describe('the queues of services', () => {
  test('a request is written immediately when the queue is empty, and each service has its own queue', async () => {
    const { started, enqueue } = setUp()
    const [a, b] = [enqueue('a', 1), enqueue('b', 2, 'two')]
    expect(started).toEqual(['a', 'b'])
    b.complete()
    expect(await b.result).toEqual({ kind: 'written', value: 'b#2' })
    a.complete()
    expect(await a.result).toEqual({ kind: 'written', value: 'a#1' })
  })

  test('the newest waiting request is written and supersedes the older ones', async () => {
    const { started, enqueue } = setUp()
    const [a, b, d, c] = [enqueue('a', 1), enqueue('b', 2), enqueue('d', 4), enqueue('c', 3)]
    a.complete()
    await a.result
    d.complete()
    const superseded = { kind: 'superseded', by: 'd#4' }
    expect(await Promise.all([b.result, c.result, d.result])).toEqual([
      superseded,
      superseded,
      { kind: 'written', value: 'd#4' },
    ])
    expect(started).toEqual(['a', 'd after others'])
  })

  test('a newer request that arrives during a write is written after it', async () => {
    const { started, enqueue } = setUp()
    const a = enqueue('a', 1)
    const b = enqueue('b', 2)
    a.complete()
    await vi.waitFor(() => expect(started).toHaveLength(2))
    const c = enqueue('c', 3)
    b.complete()
    expect(await b.result).toEqual({ kind: 'written', value: 'b#2' })
    c.complete()
    expect(await c.result).toEqual({ kind: 'written', value: 'c#3' })
    expect(started).toEqual(['a', 'b after others', 'c after others'])
  })

  test('an older request that arrives after a newer one was written is superseded without a write', async () => {
    const { started, enqueue } = setUp()
    const b = enqueue('b', 2)
    b.complete()
    await b.result
    const a = enqueue('a', 1)
    expect(await a.result).toEqual({ kind: 'superseded', by: 'b#2' })
    expect(started).toEqual(['b'])
  })

  test('a request with the same key joins the one that waits or is being written, and raises its order', async () => {
    const { started, enqueue } = setUp()
    const a = enqueue('a', 1)
    const b = enqueue('b', 2)
    const again = enqueue('a', 3)
    a.complete()
    expect(await again.result).toEqual({ kind: 'written', value: 'a#1' })
    expect(await b.result).toEqual({ kind: 'superseded', by: 'a#1' })
    expect(started).toEqual(['a'])
    const later = enqueue('a', 4)
    later.complete()
    expect(await later.result).toEqual({ kind: 'written', value: 'a#4' })
  })

  test('an error of one request rejects only that request, and the next newest one is written', async () => {
    const { started, enqueue } = setUp()
    const [a, b, c] = [enqueue('a', 1), enqueue('b', 2), enqueue('c', 3)]
    a.complete()
    await a.result
    c.fail(new DeployerError('image-mismatch', 'Another image'))
    await expect(c.result).rejects.toThrow('Another image')
    b.complete()
    expect(await b.result).toEqual({ kind: 'written', value: 'b#2' })
    expect(started).toEqual(['a', 'c after others', 'b after others'])
  })

  test.each([
    ['an error of the engine', new DeployerError('no-quorum', 'No leader')],
    ['any other error', new Error('odd')],
    ['a value that is not an error', 'a text'],
  ])('%s rejects all waiting requests, and the queue still works', async (_, fault) => {
    const { started, enqueue } = setUp()
    const [a, b, other] = [enqueue('a', 1), enqueue('b', 2), enqueue('x', 3, 'two')]
    a.fail(fault)
    await expect(a.result).rejects.toBe(fault)
    await expect(b.result).rejects.toBe(fault)
    const c = enqueue('c', 4)
    c.complete()
    expect(await c.result).toEqual({ kind: 'written', value: 'c#4' })
    other.complete()
    expect(await other.result).toEqual({ kind: 'written', value: 'x#3' })
    expect(started).toEqual(['a', 'x', 'c'])
  })

  test('an older request with the key of the latest write gets its result', async () => {
    const { started, enqueue } = setUp()
    const b = enqueue('b', 2)
    b.complete()
    await b.result
    expect(await enqueue('b', 1).result).toEqual({ kind: 'written', value: 'b#2' })
    expect(started).toEqual(['b'])
  })

  test('the latest write of a service is forgotten after those of a thousand others', async () => {
    const { enqueue } = setUp()
    const write = async (order: number, service: string): Promise<string> => {
      const held = enqueue(`x${order}`, order, service)
      held.complete()
      return (await held.result).kind
    }
    await write(5000, 'first')
    const busy = enqueue('y', 1, 'busy')
    for (let index = 0; index < 1100; index += 1) {
      await write(index, `service${index}`)
    }
    expect(await write(1, 'first')).toBe('written')
    expect(await write(0, 'service1099')).toBe('superseded')
    const next = enqueue('z', 2, 'busy')
    busy.complete()
    await busy.result
    next.complete()
    expect(await next.result).toEqual({ kind: 'written', value: 'z#2' })
  })
})
