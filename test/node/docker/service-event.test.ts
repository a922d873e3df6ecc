import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createServiceEventParser,
  parseServiceEvent,
} from '../../../src/node/docker/service-event.ts'

// Lines of Docker Engine 20.10.
test.each([
  [
    '{"Type":"service","Action":"create","Actor":{"ID":"ph1w","Attributes":{"name":"xa"}},"scope":"swarm","time":1795530641,"timeNano":1795530641909654501}',
    { serviceId: 'ph1w', action: 'create', timeMs: 1795530641909 },
  ],
  [
    '{"Type":"service","Action":"update","Actor":{"ID":"1lcb","Attributes":{"image.new":"h/app:v2@sha256:44","image.old":"h/app:v1@sha256:62","name":"xc"}},"scope":"swarm","time":1795530982,"timeNano":1795530982480872724}',
    { serviceId: '1lcb', action: 'update', image: 'h/app:v2@sha256:44', timeMs: 1795530982480 },
  ],
  [
    '{"Type":"service","Action":"update","Actor":{"ID":"1lcb","Attributes":{"name":"xc","updatestate.new":"completed","updatestate.old":"updating"}},"scope":"swarm","time":1795530987,"timeNano":1795530987084768297}',
    { serviceId: '1lcb', action: 'update', updateState: 'completed', timeMs: 1795530987084 },
  ],
  [
    '{"Type":"service","Action":"remove","Actor":{"ID":"1lcb","Attributes":{"name":"xc"}},"scope":"swarm","time":1795530994,"timeNano":1795530994544892550}',
    { serviceId: '1lcb', action: 'remove', timeMs: 1795530994544 },
  ],
])('%s', (line, event) => {
  expect(parseServiceEvent(line)).toEqual(event)
})

const line = (members: object): string =>
  JSON.stringify({
    Type: 'service',
    Action: 'update',
    Actor: { ID: 'a', Attributes: {} },
    timeNano: 1_000_000_000,
    ...members,
  })

test('nanoseconds are rounded down to milliseconds', () => {
  const text = line({}).replace('1000000000', '1795530641909999999')
  expect(parseServiceEvent(text)?.timeMs).toBe(1795530641909)
})

test.each([{ Attributes: null }, {}, { Attributes: { 'updatestate.new': '', 'image.new': 7 } }])(
  'update state and image are optional: %j',
  (rest) => {
    const event = { serviceId: 'a', action: 'update', timeMs: 1000 }
    expect(parseServiceEvent(line({ Actor: { ID: 'a', ...rest } }))).toEqual(event)
  },
)

test.each([
  '',
  'null',
  '7',
  '[]',
  '{"Type":',
  '<html>',
  line({ Type: 'container' }),
  line({ Action: 'prune' }),
  line({ Action: undefined }),
  line({ Actor: null }),
  line({ Actor: { ID: 7 } }),
  line({ timeNano: undefined }),
  line({ timeNano: 'soon' }),
  line({ timeNano: -1 }),
])('is not a service event: %s', (text) => {
  expect(parseServiceEvent(text)).toBeUndefined()
})

describe('the event stream', () => {
  const idsOf = (chunks: readonly Buffer[]): string[] => {
    const parse = createServiceEventParser()
    return chunks.flatMap((chunk) => parse(chunk).map(({ serviceId }) => serviceId))
  }
  const event = (id: string): string => line({ Actor: { ID: id } })

  test('events, and characters of several bytes, may be split at any byte', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 20 })),
        fc.integer({ min: 1, max: 7 }),
        (ids, size) => {
          const bytes = Buffer.from(ids.map((id) => `${event(id)}\n`).join(''))
          const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
            bytes.subarray(n * size, (n + 1) * size),
          )
          expect(idsOf(chunks)).toEqual(ids)
        },
      ),
    )
  })

  test('one chunk may complete any number of events', () => {
    const ids = Array.from({ length: 1000 }, (_, n) => `${n}`)
    expect(idsOf([Buffer.from(ids.map((id) => `${event(id)}\n`).join(''))])).toEqual(ids)
  })

  test('a line of more than 64 Ki characters is skipped, and the next line is read', () => {
    const chunks = [event('a'.repeat(70_000)).slice(0, 66_000), 'a'.repeat(70_000)]
    const rest = `${event('x')}\n${event('b')}\n`
    expect(idsOf([...chunks, rest].map((text) => Buffer.from(text)))).toEqual(['b'])
  })

  test.each(['\n', '\r\n'])('lines end with %j, and empty lines are skipped', (end) => {
    expect(idsOf([Buffer.from(`${end}${event('a')}${end}${end}${event('b')}${end}`)])).toEqual([
      'a',
      'b',
    ])
  })

  test('a line without its end is not an event yet', () => {
    expect(idsOf([Buffer.from(event('a'))])).toEqual([])
  })
})
