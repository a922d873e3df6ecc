import { describe, expect, test, vi } from 'vitest'
import { DeployerError } from '../../src/errors.ts'
import { createServiceQueues, type WriteResult } from '../../src/update/service-queue.ts'

interface Held {
  readonly turn: Promise<WriteResult<string>>
  done(): void
  fail(error: unknown): void
}

/** A queue whose writes a test ends, and a record of those that began. */
function setUp() {
  const queue = createServiceQueues<string>()
  const begun: string[] = []
  function enter(key: string, order: number, service = 'one'): Held {
    let settle = { done(): void {}, fail(_: unknown): void {} }
    const written = new Promise<string>((resolve, reject) => {
      settle = { done: () => resolve(`${key}#${order}`), fail: reject }
    })
    written.catch(() => {})
    const turn = queue.enter(service, {
      order,
      key,
      write(hasWaited) {
        begun.push(hasWaited ? `${key} after others` : key)
        return written
      },
    })
    turn.catch(() => {})
    return { turn, done: () => settle.done(), fail: (error) => settle.fail(error) }
  }
  return { begun, enter }
}

describe('the write queue', () => {
  test('writes at once where nobody writes, and each service on its own', async () => {
    const { begun, enter } = setUp()
    const [a, b] = [enter('a', 1), enter('b', 2, 'two')]
    expect(begun).toEqual(['a', 'b'])
    b.done()
    expect(await b.turn).toEqual({ kind: 'written', value: 'b#2' })
    a.done()
    expect(await a.turn).toEqual({ kind: 'written', value: 'a#1' })
  })

  test('of those that wait, the latest is written and supersedes the earlier ones', async () => {
    const { begun, enter } = setUp()
    const [a, b, d, c] = [enter('a', 1), enter('b', 2), enter('d', 4), enter('c', 3)]
    a.done()
    await a.turn
    d.done()
    const superseded = { kind: 'superseded', by: 'd#4' }
    expect(await Promise.all([b.turn, c.turn, d.turn])).toEqual([
      superseded,
      superseded,
      { kind: 'written', value: 'd#4' },
    ])
    expect(begun).toEqual(['a', 'd after others'])
  })

  test('one that comes in during a write and is later is written after it', async () => {
    const { begun, enter } = setUp()
    const a = enter('a', 1)
    const b = enter('b', 2)
    a.done()
    await vi.waitFor(() => expect(begun).toHaveLength(2))
    const c = enter('c', 3)
    b.done()
    expect(await b.turn).toEqual({ kind: 'written', value: 'b#2' })
    c.done()
    expect(await c.turn).toEqual({ kind: 'written', value: 'c#3' })
    expect(begun).toEqual(['a', 'b after others', 'c after others'])
  })

  test('one that comes in late, though it was sent earlier, is superseded without a write', async () => {
    const { begun, enter } = setUp()
    const b = enter('b', 2)
    b.done()
    await b.turn
    const a = enter('a', 1)
    expect(await a.turn).toEqual({ kind: 'superseded', by: 'b#2' })
    expect(begun).toEqual(['b'])
  })

  test('the same key joins the one that waits, or is being written, and raises its order', async () => {
    const { begun, enter } = setUp()
    const a = enter('a', 1)
    const b = enter('b', 2)
    const again = enter('a', 3)
    a.done()
    expect(await again.turn).toEqual({ kind: 'written', value: 'a#1' })
    expect(await b.turn).toEqual({ kind: 'superseded', by: 'a#1' })
    expect(begun).toEqual(['a'])
    const later = enter('a', 4)
    later.done()
    expect(await later.turn).toEqual({ kind: 'written', value: 'a#4' })
  })

  test('a refusal is that of one request, and the next latest is served', async () => {
    const { begun, enter } = setUp()
    const [a, b, c] = [enter('a', 1), enter('b', 2), enter('c', 3)]
    a.done()
    await a.turn
    c.fail(new DeployerError('image-mismatch', 'Another image'))
    await expect(c.turn).rejects.toThrow('Another image')
    b.done()
    expect(await b.turn).toEqual({ kind: 'written', value: 'b#2' })
    expect(begun).toEqual(['a', 'c after others', 'b after others'])
  })

  test.each([
    ['a fault of the engine', new DeployerError('no-quorum', 'No leader')],
    ['any other fault', new Error('odd')],
    ['what is no error', 'a text'],
  ])('%s ends all that wait, and the queue works on', async (_, fault) => {
    const { begun, enter } = setUp()
    const [a, b, other] = [enter('a', 1), enter('b', 2), enter('x', 3, 'two')]
    a.fail(fault)
    await expect(a.turn).rejects.toBe(fault)
    await expect(b.turn).rejects.toBe(fault)
    const c = enter('c', 4)
    c.done()
    expect(await c.turn).toEqual({ kind: 'written', value: 'c#4' })
    other.done()
    expect(await other.turn).toEqual({ kind: 'written', value: 'x#3' })
    expect(begun).toEqual(['a', 'x', 'c'])
  })

  test('one that comes in late with the key of what was written last joins that', async () => {
    const { begun, enter } = setUp()
    const b = enter('b', 2)
    b.done()
    await b.turn
    expect(await enter('b', 1).turn).toEqual({ kind: 'written', value: 'b#2' })
    expect(begun).toEqual(['b'])
  })

  test('forgets what was written last on a service after a thousand others', async () => {
    const { enter } = setUp()
    const write = async (order: number, service: string): Promise<string> => {
      const held = enter(`x${order}`, order, service)
      held.done()
      return (await held.turn).kind
    }
    await write(5000, 'first')
    const busy = enter('y', 1, 'busy')
    for (let index = 0; index < 1100; index += 1) {
      await write(index, `service${index}`)
    }
    expect(await write(1, 'first')).toBe('written')
    expect(await write(0, 'service1099')).toBe('superseded')
    const next = enter('z', 2, 'busy')
    busy.done()
    await busy.turn
    next.done()
    expect(await next.turn).toEqual({ kind: 'written', value: 'z#2' })
  })
})
