import { expect, test } from 'vitest'
import { prefersText, wantsEvents } from '../../src/http/accept.ts'
import { readRequest } from '../support/read-request.ts'

test.each([
  ['text/plain'],
  ['Text/Plain'],
  ['text/plain; charset=utf-8'],
  ['text/plain, */*'],
  ['text/plain, */*;q=0.8'],
  ['text/plain, application/json;q=0.9'],
  ['application/json ; q=0.1 , text/plain ; q=0.2'],
  ['text/plain;q=0.5'],
  ['text/plain;foo'],
  ['text/plain;q=x'],
])('Accept: %s prefers text', (accept) => {
  expect(prefersText(accept)).toBe(true)
})

test.each([
  [undefined],
  [''],
  ['*/*'],
  ['text/*'],
  ['application/json'],
  ['application/json, text/plain, */*'],
  ['text/plain, application/json'],
  ['text/plain;q=0.5, */*'],
  ['text/plain;q=0.5, application/*;q=0.6'],
  ['text/plain;q=0'],
  ['text/plain;q=0, */*;q=0'],
  ['text/html, text/plainx'],
  [';;,,;q=1'],
])('Accept: %s does not', (accept) => {
  expect(prefersText(accept)).toBe(false)
})

test.each([
  [undefined, false],
  ['*/*', false],
  ['text/*', false],
  ['text/event-stream', true],
  ['text/event-stream; charset=utf-8', true],
  ['application/json,text/event-stream', true],
  ['text/event-stream-x', false],
])('Accept: %s asks for events: %s', async (accept, value) => {
  const headers = accept === undefined ? {} : { Accept: accept }
  expect(await readRequest(wantsEvents, { headers })).toEqual({ value })
})
