import { describe, expect, test, vi } from 'vitest'
import { nextSequenceNumber } from '../../src/async/sequence-number.ts'
import { createEventBuffer } from '../../src/rollout/event-buffer.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'

const IMAGE = 'me/app:v2'

function event(more: Partial<ServiceEvent> = {}): ServiceEvent {
  return { serviceId: 'one', action: 'update', timeMs: 1, ...more }
}

describe('an event buffer reports', () => {
  test.each([
    ['the start of the update', [event({ updateState: 'updating' })], 'started'],
    ['the end', [event({ updateState: 'completed' })], 'ended'],
    ['a pause', [event({ updateState: 'paused' })], 'ended'],
    ['the end of a rollback', [event({ updateState: 'rollback_completed' })], 'ended'],
    ['a rollback that is paused', [event({ updateState: 'rollback_paused' })], 'ended'],
    ['a state that a future engine adds', [event({ updateState: 'novel' })], 'ended'],
    ['the start of a rollback', [event({ updateState: 'rollback_started' })], 'changed'],
    ['another image', [event({ image: 'me/app:v3' })], 'changed'],
    ['a removal', [event({ action: 'remove' })], 'changed'],
    ['any other change', [event()], 'changed'],
    ['a start and a change', [event({ updateState: 'updating' }), event()], 'changed'],
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
    const buffer = createEventBuffer(IMAGE)
    events.forEach(buffer.add)
    expect(await buffer.next(60_000)).toMatchObject({ kind })
  })

  test('includes the first event of a start', async () => {
    const buffer = createEventBuffer(IMAGE)
    buffer.add(event({ updateState: 'updating', timeMs: 7 }))
    expect(await buffer.next(60_000)).toMatchObject({
      kind: 'started',
      event: event({ updateState: 'updating', timeMs: 7 }),
    })
  })

  test('reports a gap, whatever other events there are', async () => {
    const buffer = createEventBuffer(IMAGE)
    buffer.add(event({ updateState: 'completed' }))
    buffer.gap()
    expect(await buffer.next(60_000)).toMatchObject({ kind: 'gap' })
  })

  test('reports each event once', async () => {
    const buffer = createEventBuffer(IMAGE)
    buffer.gap()
    await buffer.next(60_000)
    buffer.add(event({ updateState: 'completed' }))
    await buffer.next(60_000)
    buffer.wake()
    expect(await buffer.next(60_000)).toMatchObject({ kind: 'none' })
  })

  test("ends a current wait, but not for the watch's own write", async () => {
    vi.useFakeTimers()
    try {
      const buffer = createEventBuffer(IMAGE)
      let reason: unknown
      const waits = buffer.next(60_000).then((next) => {
        reason = next
      })
      buffer.add(event({ image: IMAGE }))
      await vi.advanceTimersByTimeAsync(59_999)
      expect(reason).toBeUndefined()
      buffer.add(event({ updateState: 'completed' }))
      await waits
      expect(reason).toMatchObject({ kind: 'ended' })
      const late = buffer.next(1000)
      await vi.advanceTimersByTimeAsync(1000)
      expect(await late).toMatchObject({ kind: 'none' })
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('gives the sequence number from which on a reading is new enough: that of the event, or of the wait', async () => {
    vi.useFakeTimers()
    try {
      const buffer = createEventBuffer(IMAGE)
      const first = buffer.next(1000)
      const afterStart = nextSequenceNumber()
      await vi.advanceTimersByTimeAsync(1000)
      expect((await first).since).toBe(afterStart - 1)
      buffer.add(event())
      const afterEvent = nextSequenceNumber()
      await vi.advanceTimersByTimeAsync(50)
      expect(await buffer.next(1000)).toEqual({ kind: 'changed', since: afterEvent - 1 })
    } finally {
      vi.useRealTimers()
    }
  })
})
