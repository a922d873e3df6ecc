// Whether a write was taken, by table: what the service shows, and what is made of it.

import { expect, test } from 'vitest'
import type { Deployment } from '../../src/deployment/deployment.ts'
import { RECORD_LABEL } from '../../src/deployment/deployment-record.ts'
import { writeStatus } from '../../src/deployment/write-status.ts'
import type { Service, ServiceSpec } from '../../src/swarm/service.ts'

const WRITE = Date.parse('2026-11-24T14:00:00.000Z')
// The write replaced version 10; nothing else that is below has its time.
const OURS = `10/${at(0)}///`

const deployment: Deployment = {
  service: 'blog',
  serviceId: '4cdgfyky7ozwh3htjfw0d12qv',
  image: 'me/app:v2',
  resolved: 'me/app:v2',
  previous: 'me/app:v1',
  forceUpdate: '0',
  versionIndex: 10,
  startedAt: at(0),
}

function at(seconds: number): string {
  return new Date(WRITE + seconds * 1000).toISOString()
}

/** An entry of another deployment. */
function other(versionIndex: number, seconds = 5): string {
  return `${versionIndex}/${at(seconds)}///`
}

interface Shown {
  readonly version: number
  /** The entries of the record, newest first; none: there is no label. */
  readonly record?: readonly string[]
  /** Those of the spec before. */
  readonly before?: readonly string[] | null
  /** A state, and the seconds after the write at which the update began. */
  readonly status?: readonly [state: string, startedAt?: number]
}

function spec(record: readonly string[] = []): ServiceSpec {
  return {
    Name: 'blog',
    ...(record.length === 0 ? {} : { Labels: { [RECORD_LABEL]: record.join(' ') } }),
    TaskTemplate: { ContainerSpec: { Image: 'me/app:v9' } },
  }
}

function service({ version, record, before, status }: Shown): Service {
  const [State, startedAt] = status ?? []
  return {
    ID: deployment.serviceId,
    Version: { Index: version },
    Spec: spec(record),
    ...(before !== undefined && { PreviousSpec: before && spec(before) }),
    ...(State !== undefined && {
      UpdateStatus: {
        State,
        ...(startedAt === undefined ? {} : { StartedAt: at(startedAt) }),
      },
    }),
  }
}

// Eight entries are all that a record has room for.
const FULL_OF_NEWER = [19, 18, 17, 16, 15, 14, 13, 12].map((index) => other(index))
const FULL_WITH_OURS_LAST = [...FULL_OF_NEWER.slice(1), OURS]
const FULL_OF_OLDER = [9, 8, 7, 6, 5, 4, 3, 2].map((index) => other(index, -5))

test.each<[said: string, is: ReturnType<typeof writeStatus>, shown: Shown]>([
  ['the spec has it', 'written', { version: 11, record: [OURS] }],
  ['the spec has it, whatever became of it', 'written', { version: 11, record: [`${OURS}wrote`] }],
  ['the spec has it below a later one', 'written', { version: 15, record: [other(14), OURS] }],
  ['it is the last of a full record', 'written', { version: 20, record: FULL_WITH_OURS_LAST }],
  [
    'the spec before has it, and this one has lost it',
    'written',
    { version: 12, record: [other(9, -5)], before: [OURS] },
  ],
  [
    'the spec before has it, and this one has no record',
    'written',
    { version: 12, before: [OURS] },
  ],
  [
    'the spec before has it, and this one was rolled back to',
    'written',
    { version: 12, before: [OURS], status: ['rollback_completed', 1] },
  ],

  ['nothing has changed', 'not-yet', { version: 10, record: [other(9, -5)] }],
  ['nothing has changed, without a record', 'not-yet', { version: 10 }],
  [
    'nothing has changed since a rollback',
    'not-yet',
    { version: 10, status: ['rollback_completed', 1] },
  ],
  [
    'nothing has changed, and the record was garbled',
    'not-yet',
    { version: 10, record: ['10/garbled'] },
  ],

  ['another writer had that version', 'not-written', { version: 11, record: [other(10)] }],
  [
    'another writer had that version, and more came since',
    'not-written',
    { version: 15, record: [other(14), other(10), other(9)] },
  ],
  [
    'another writer had that version, though it was rolled back since',
    'not-written',
    { version: 15, record: [other(10)], status: ['rollback_started', 1] },
  ],
  [
    'another writer had that version a millisecond later',
    'not-written',
    { version: 11, record: [`10/${at(0.001)}///`] },
  ],
  [
    'the newest record is older, and somebody else changed the service',
    'not-written',
    { version: 11, record: [other(9, -5)] },
  ],
  [
    'the only write since then removed the labels, and is not ours',
    'not-written',
    { version: 11, status: ['updating', 1] },
  ],
  [
    'the next version had another writer, and ours is not below it',
    'not-written',
    { version: 15, record: [other(14), other(11), other(9, -5)] },
  ],
  [
    'the next version had the newest writer, and ours is not below it',
    'not-written',
    { version: 15, record: [other(11), other(9, -5)] },
  ],
  [
    'the next version had the last writer of the record, which may have been longer',
    'unknown',
    { version: 15, record: [other(14), other(11)] },
  ],
  ['the newest of a full record is older', 'not-written', { version: 11, record: FULL_OF_OLDER }],
  [
    'the newest record is older, and the rollout of somebody else goes on',
    'not-written',
    { version: 11, record: [other(9, -5)], status: ['updating', 1] },
  ],
  [
    'the newest record is older, and the spec before has no record',
    'not-written',
    { version: 11, record: [other(9, -5)], before: [] },
  ],
  [
    'the newest record is older, and there is no spec before',
    'not-written',
    { version: 11, record: [other(9, -5)], before: null },
  ],

  ['a record is newer, without it', 'unknown', { version: 15, record: [other(14)] }],
  [
    'a record is newer, and one older',
    'unknown',
    { version: 15, record: [other(14), other(9, -5)] },
  ],
  ['one of that very time is newer', 'unknown', { version: 15, record: [other(14, 0)] }],
  ['a full record is newer', 'unknown', { version: 20, record: FULL_OF_NEWER }],
  ['the record is gone', 'unknown', { version: 12 }],
  ['the record was garbled', 'unknown', { version: 12, record: ['10/garbled'] }],
  [
    'the record of that version was garbled, beside one of it that can be read',
    'unknown',
    { version: 12, record: [OURS, 'garbled'] },
  ],
])('where %s, a write is %s', (_, expected, shown) => {
  expect(writeStatus(deployment, service(shown))).toBe(expected)
})

// A rollback takes the record of the write back with the rest of its spec. Another manager's clock may
// be up to a minute behind that of the one who wrote.
test.each<[state: string, startedAt: number | undefined, is: ReturnType<typeof writeStatus>]>([
  ['rollback_started', 1, 'unknown'],
  ['rollback_paused', 1, 'unknown'],
  ['rollback_completed', 1, 'unknown'],
  ['rollback_completed', 0, 'unknown'],
  ['rollback_completed', -59.999, 'unknown'],
  ['rollback_completed', -60, 'not-written'],
  ['rollback_completed', -3600, 'not-written'],
  ['rollback_completed', undefined, 'not-written'],
  ['updating', 1, 'not-written'],
  ['paused', 1, 'not-written'],
  ['completed', 1, 'not-written'],
])('with an older record, and %s since %s s after it, a write is %s', (...row) => {
  const [state, startedAt, expected] = row
  const status = startedAt === undefined ? ([state] as const) : ([state, startedAt] as const)
  const shown = { version: 13, record: [other(9, -5)], status }
  expect(writeStatus(deployment, service(shown))).toBe(expected)
})
