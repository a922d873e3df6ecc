import { expect, test } from 'vitest'
import { createWaitingCallers } from '../../src/http/waiting-callers.ts'

test('a limited number of callers wait at the same time; the next one is rejected until a place is free', () => {
  const callers = createWaitingCallers(2)
  const first = callers.enter()
  const second = callers.enter()
  expect(() => callers.enter()).toThrow(
    expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 5 }),
  )
  first.release()
  first.release()
  callers.enter()
  expect(() => callers.enter()).toThrow('2 callers wait already')
  second.release()
  callers.enter()
})

test('2,000 callers may wait by default', () => {
  const callers = createWaitingCallers()
  for (let n = 0; n < 2000; n += 1) {
    callers.enter()
  }
  expect(() => callers.enter()).toThrow('2000 callers wait already')
})
