// The protocol of a write: prepared, then committed, aborted or uncertain.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  createHarness,
  type HarnessOptions,
  never,
  originOf,
  preparedOver,
  stopPublishers,
  unwritten,
} from '../support/publisher-harness.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  stopPublishers()
  vi.useRealTimers()
})

describe('a pending write', () => {
  test('resolves an uncertain write after the earlier events of its service', async () => {
    const { publisher, swarm, refuse, published } = createHarness(
      () => new Promise((resolve) => setTimeout(resolve, 5000)),
    )
    swarm.addService('blog')
    const deployment = preparedOver(swarm, 'blog')
    await refuse('blog', 1)
    const pending = await publisher.prepare(deployment, originOf(2))
    swarm.remove('blog')
    pending.uncertain()
    await vi.advanceTimersByTimeAsync(4999)
    expect(published).toEqual(['refused blog 1'])
    await vi.advanceTimersByTimeAsync(1)
    expect(published).toEqual(['refused blog 1', 'unknown blog 2'])
  })

  test('stores that the write succeeded before it resolves or publishes that', async () => {
    const { publisher, deployments, swarm, spool, published } = createHarness(() => {})
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const deployment = preparedOver(swarm, 'blog')
    const pending = await publisher.prepare(deployment, originOf(1))
    spool.beforePut = () => new Promise((resolve) => setTimeout(resolve, 1000))
    let isDone = false
    void pending.committed(deployments.create(deployment, swarm.service('blog'))).then(() => {
      isDone = true
    })
    await vi.advanceTimersByTimeAsync(999)
    expect([isDone, published]).toEqual([false, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([isDone, published[0]]).toEqual([true, 'accepted blog 1'])
  })

  test.each<[what: string, options: HarnessOptions, warnings: number]>([
    ['whose end is not published', {}, 1],
    ['whose end the notifier does not receive', { notifierEvents: ['accepted'] }, 0],
  ])('logs at the end a deployment %s, unless it is stored', async (...row) => {
    const [, options, warnings] = row
    for (const isGood of [true, false]) {
      for (const isLate of [true, false]) {
        const { publisher, deployments, logger, spool, stop } = createHarness(never, options)
        spool.isGood = isGood
        const known = deployments.addUnwritten(unwritten('blog', 'unchanged'))
        const pending = await publisher.prepare(known.deployment, originOf(1))
        if (isLate) {
          stop.abort()
        }
        await pending.committed(known)
        await vi.advanceTimersByTimeAsync(0)
        stop.abort()
        const lines = logger.lines.filter(({ message }) => message === 'verdict will not be sent')
        expect([isGood, isLate, lines.length]).toEqual([isGood, isLate, isGood ? 0 : warnings])
      }
    }
  })

  test('that is aborted leaves no record, and publishes nothing', async () => {
    const { publisher, swarm, spool, published } = createHarness(() => {})
    swarm.addService('blog')
    const pending = await publisher.prepare(preparedOver(swarm, 'blog'), originOf(1))
    expect(spool.records.size).toBe(1)
    pending.aborted()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([spool.records.size, published]).toEqual([0, []])
  })
})
