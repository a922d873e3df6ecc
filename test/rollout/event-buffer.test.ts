import { describe, expect, test, vi } from 'vitest'
import { thisMoment } from '../../src/async/moment.ts'
import { createEventBuffer } from '../../src/rollout/event-buffer.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'

const IMAGE = 'me/app:v2'

function event(more: Partial<ServiceEvent> = {}): ServiceEvent {
  return { serviceId: 'one', action: 'update', timeMs: 1, ...more }
}

describe('the inbox', () => {
  test.each([
    ['the start of the update', [event({ updateState: 'updating' })], 'begun'],
    ['the end', [event({ updateState: 'completed' })], 'ended'],
    ['a pause', [event({ updateState: 'paused' })], 'ended'],
    ['the end of a rollback', [event({ updateState: 'rollback_completed' })], 'ended'],
    ['a rollback that is paused', [event({ updateState: 'rollback_paused' })], 'ended'],
    ['a state of an engine to come', [event({ updateState: 'novel' })], 'ended'],
    ['the start of a rollback', [event({ updateState: 'rollback_started' })], 'other'],
    ['another image', [event({ image: 'me/app:v3' })], 'other'],
    ['a removal', [event({ action: 'remove' })], 'other'],
    ['any other change', [event()], 'other'],
    ['a start and a change', [event({ updateState: 'updating' }), event()], 'other'],
    [
      'a start and the end',
      [event({ updateState: 'updating' }), event({ updateState: 'completed' })],
      'ended',
    ],
    [
      'the end and a start',
      [event({ updateState: 'completed' }), event({ updateState: 'updating' })],
      'ended',
    ],
  ])('%s', async (_, events, kind) => {
    const inbox = createEventBuffer(IMAGE)
    events.forEach(inbox.add)
    expect(await inbox.next(60_000)).toMatchObject({ kind })
  })

  test('gives the first event of a start along', async () => {
    const inbox = createEventBuffer(IMAGE)
    inbox.add(event({ updateState: 'updating', timeMs: 7 }))
    expect(await inbox.next(60_000)).toMatchObject({
      kind: 'begun',
      event: event({ updateState: 'updating', timeMs: 7 }),
    })
  })

  test('says so when something may have been missed, whatever else came', async () => {
    const inbox = createEventBuffer(IMAGE)
    inbox.add(event({ updateState: 'completed' }))
    inbox.gap()
    expect(await inbox.next(60_000)).toMatchObject({ kind: 'missed' })
  })

  test('forgets what it has told', async () => {
    const inbox = createEventBuffer(IMAGE)
    inbox.gap()
    await inbox.next(60_000)
    inbox.add(event({ updateState: 'completed' }))
    await inbox.next(60_000)
    inbox.wake()
    expect(await inbox.next(60_000)).toMatchObject({ kind: 'none' })
  })

  test('wakes who waits already, and does not wake for its own write', async () => {
    vi.useFakeTimers()
    try {
      const inbox = createEventBuffer(IMAGE)
      let reason: unknown
      const waits = inbox.next(60_000).then((told) => {
        reason = told
      })
      inbox.add(event({ image: IMAGE }))
      await vi.advanceTimersByTimeAsync(59_999)
      expect(reason).toBeUndefined()
      inbox.add(event({ updateState: 'completed' }))
      await waits
      expect(reason).toMatchObject({ kind: 'ended' })
      const late = inbox.next(1000)
      await vi.advanceTimersByTimeAsync(1000)
      expect(await late).toMatchObject({ kind: 'none' })
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('tells from which moment on a look counts: that of the news, or that of the wait', async () => {
    vi.useFakeTimers()
    try {
      const inbox = createEventBuffer(IMAGE)
      const first = inbox.next(1000)
      const afterTheWaitBegan = thisMoment()
      await vi.advanceTimersByTimeAsync(1000)
      expect((await first).since).toBe(afterTheWaitBegan - 1)
      inbox.add(event())
      const afterTheNews = thisMoment()
      await vi.advanceTimersByTimeAsync(50)
      expect(await inbox.next(1000)).toEqual({ kind: 'other', since: afterTheNews - 1 })
    } finally {
      vi.useRealTimers()
    }
  })
})
