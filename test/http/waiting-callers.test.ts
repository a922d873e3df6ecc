import { expect, test } from 'vitest'
import { createWaitingCallers } from '../../src/http/waiting-callers.ts'

test('so many callers wait at a time, and the next one is refused until a place is free', () => {
  const callers = createWaitingCallers(2)
  const first = callers.enter()
  const second = callers.enter()
  expect(() => callers.enter()).toThrow(
    expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 5 }),
  )
  first.release()
  first.release()
  callers.enter()
  expect(() => callers.enter()).toThrow('2 wait already')
  second.release()
  callers.enter()
})

test('2,000 may wait unless told', () => {
  const callers = createWaitingCallers()
  for (let n = 0; n < 2000; n += 1) {
    callers.enter()
  }
  expect(() => callers.enter()).toThrow('2000 wait already')
})
