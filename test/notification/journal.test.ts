// The unpublished events of deployments, and how they survive a restart.

import { describe, expect, test } from 'vitest'
import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import { legacyDeploymentId } from '../../src/deployment/legacy-deployment-id.ts'
import {
  createJournal,
  type DeploymentState,
  type JournalEntry,
  refusedEntry,
} from '../../src/notification/journal.ts'
import { exampleEvent } from '../support/example-event.ts'
import { createFakeSpool } from '../support/fake-spool.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

const ORIGIN = { messageId: '0'.repeat(32), caller: 'ci', metadata: { commit: 'a1' } }

const deployment: Deployment = {
  service: 'blog',
  serviceId: '4cdgfyky7ozwh3htjfw0d12qv',
  image: 'me/app:v2',
  resolved: `me/app:v2@sha256:${'2'.repeat(64)}`,
  previous: 'me/app:v1',
  forceUpdate: '0',
  versionIndex: 10,
  startedAt: '2026-11-24T14:00:00.000Z',
}

// The ID of `deployment` in the version before, which contained it.
const WRITTEN_BEFORE =
  'WzEsImJsb2ciLCI0Y2RnZnlreTdvendoM2h0amZ3MGQxMnF2IiwibWUvYXBwOnYyIiwibWUvYXBwOnYyQHNoYTI1NjoyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyIiwibWUvYXBwOnYxIiwwLDEwLDE3OTU1Mjg4MDAwMDAsIiJd'

function entry(
  state: DeploymentState,
  differs: Partial<Deployment> = {},
  letter = '0',
): JournalEntry {
  const one = { ...deployment, ...differs }
  const messageId = letter.repeat(32)
  const origin = { ...ORIGIN, messageId }
  const id = deploymentId(one)
  return { key: messageId, state, deployment: one, deploymentId: id, messageId, origin }
}

const KINDS: readonly (readonly [name: string, entry: JournalEntry])[] = [
  ['that is prepared', entry('prepared')],
  ['that is committed', entry('committed')],
  ['that is published', entry('published')],
  ['that changed nothing', entry('committed', { unwritten: 'unchanged' })],
  ['that was superseded', entry('published', { unwritten: 'superseded' })],
  ['that was forced', entry('committed', { forceUpdate: '3' })],
  ['that was forced beyond 2^53', entry('committed', { forceUpdate: '17326312345678901' })],
  [
    'of a rejected request',
    refusedEntry(exampleEvent({ event: 'refused', metadata: { run: '1' } })),
  ],
  ['that ended', { key: 'a1', event: exampleEvent({ event: 'converged', error: '' }) }],
]

/** Waits until all removals have ended. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0))
}

describe('the journal', () => {
  test.each(KINDS)('returns an entry %s unchanged in another process', async (_, kept) => {
    const logger = createRecordingLogger()
    const spool = createFakeSpool()
    await createJournal(spool, logger).put(kept)
    const left = spool.copy()
    const journal = createJournal(left, logger)
    expect(await journal.read()).toEqual([kept])
    expect(logger.lines).toEqual([])
    journal.remove(kept)
    await settle()
    expect(left.records.size).toBe(0)
  })

  test.each(KINDS)('stores an entry %s under a key that a spool accepts', async (_, kept) => {
    const spool = createFakeSpool()
    await createJournal(spool, createRecordingLogger()).put(kept)
    for (const key of spool.records.keys()) {
      expect(key).toMatch(/^[\w-]{1,120}$/)
    }
  })

  test('has one entry for a deployment: the latest state', async () => {
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    for (const state of ['prepared', 'committed', 'published'] as const) {
      await journal.put(entry(state))
    }
    expect(spool.records.size).toBe(1)
    expect(await createJournal(spool.copy(), createRecordingLogger()).read()).toEqual([
      entry('published'),
    ])
  })

  test('keeps entries with equal times apart, and removes each one alone', async () => {
    const spool = createFakeSpool()
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    const { startedAt } = deployment
    const refused = refusedEntry(exampleEvent({ event: 'refused', startedAt }))
    const entries = [entry('published', {}, 'a'), entry('published', {}, 'b'), refused]
    await Promise.all(entries.map((one) => journal.put(one)))
    journal.remove(entry('published', {}, 'a'))
    await settle()
    expect(await createJournal(spool.copy(), logger).read()).toEqual(entries.slice(1))
    journal.remove(refused)
    await settle()
    expect(await createJournal(spool.copy(), logger).read()).toEqual([entry('published', {}, 'b')])
  })

  test('returns entries of any kind in the order of time', async () => {
    const times = [
      '2026-11-24T14:00:00.000Z',
      '2026-11-24T14:00:00.001Z',
      '2026-11-24T14:00:01.000Z',
      '2026-11-24T14:01:00.000Z',
      '2026-11-25T00:00:00.000Z',
    ]
    const entries = times.map((startedAt, index): JournalEntry => {
      // The letters fall, so that only the times sort the keys.
      const letter = 'fedcb'.charAt(index)
      return index % 2 === 0
        ? entry('committed', { startedAt }, letter)
        : refusedEntry(exampleEvent({ event: 'refused', startedAt, id: `msg_${letter}_refused` }))
    })
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    for (const one of entries.toReversed()) {
      await journal.put(one)
    }
    expect(await createJournal(spool.copy(), createRecordingLogger()).read()).toEqual(entries)
  })

  const good = { state: 'published', deployment, origin: ORIGIN }
  const LEGACY = legacyDeploymentId(deployment)
  const old = { state: 'published', deploymentId: LEGACY, origin: ORIGIN }
  test.each<[what: string, value: unknown]>([
    ['that is null', null],
    ['that is a number', 1],
    ['that is a text', 'published'],
    ['that is a list', [good]],
    ['that is an empty object', {}],
    ['without a state', { ...good, state: undefined }],
    ['of an unknown state', { ...good, state: 'begun' }],
    ['of an unknown state of an earlier version', { ...good, state: undefined, stage: 'begun' }],
    [
      'of a state under the name of an earlier version',
      { ...good, state: undefined, stage: 'published' },
    ],
    ['of a state of an earlier version under the new name', { ...good, state: 'told' }],
    ['without a deployment', { ...good, deployment: undefined }],
    ['with half a deployment', { ...good, deployment: { ...deployment, resolved: undefined } }],
    ['of an earlier version with a number as its ID', { ...old, deploymentId: 1 }],
    ['of an earlier version with an invalid ID', { ...old, deploymentId: 'WzEs' }],
    ['of an earlier version with half an ID', { ...old, deploymentId: LEGACY.slice(0, -4) }],
    ['with the ID of this version only', { ...old, deploymentId: deploymentId(deployment) }],
    ['without an origin', { ...good, origin: undefined }],
    ['with half an origin', { ...good, origin: { ...ORIGIN, metadata: undefined } }],
    ['with half an event', { event: { ...exampleEvent(), endedAt: undefined } }],
    ['with null as its event', { event: null }],
  ])('logs and removes a record %s, and returns the others', async (_, value) => {
    const spool = createFakeSpool()
    spool.records.set('1-bad', JSON.stringify(value))
    const key = `${Date.parse('2026-11-24T14:00:00.000Z')}-${ORIGIN.messageId}`
    spool.records.set(key, JSON.stringify(good))
    const logger = createRecordingLogger()
    expect(await createJournal(spool, logger).read()).toEqual([{ ...entry('published'), key }])
    expect(logger.lines).toEqual([
      { level: 'error', message: 'spooled deployment cannot be read', key: '1-bad' },
    ])
    await settle()
    expect([...spool.records.keys()]).toEqual([key])
  })

  test.each<[stage: string, state: DeploymentState]>([
    ['intended', 'prepared'],
    ['accepted', 'committed'],
    ['told', 'published'],
  ])('reads the stage %s of a record of an earlier version as %s', async (stage, state) => {
    const spool = createFakeSpool()
    const key = `${Date.parse(deployment.startedAt)}-${ORIGIN.messageId}`
    const record = { stage, deploymentId: LEGACY, origin: ORIGIN }
    spool.records.set(key, JSON.stringify(record))
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    const taken = { ...entry(state), key }
    expect(await journal.read()).toEqual([taken])
    expect(logger.lines).toEqual([])
    await journal.put(taken)
    expect([...spool.records.keys()]).toEqual([key])
    const messageId = ORIGIN.messageId
    expect(spool.values()).toEqual([{ state, deployment, messageId, origin: ORIGIN }])
    journal.remove(taken)
    await settle()
    expect(spool.records.size).toBe(0)
  })

  test('takes over the records of the version before', async () => {
    const spool = createFakeSpool()
    const key = `${Date.parse(deployment.startedAt)}-${ORIGIN.messageId}`
    // As that version wrote it.
    const record = `{"state":"committed","deploymentId":"${WRITTEN_BEFORE}","origin":{"messageId":"${ORIGIN.messageId}","caller":"ci","metadata":{"commit":"a1"}}}`
    spool.records.set(key, record)
    const logger = createRecordingLogger()
    expect(await createJournal(spool, logger).read()).toEqual([{ ...entry('committed'), key }])
    expect(logger.lines).toEqual([])
  })

  test('does not return entries that are stored before or while it reads', async () => {
    const spool = createFakeSpool()
    const logger = createRecordingLogger()
    await createJournal(spool, logger).put(entry('published', {}, 'a'))
    const left = spool.copy()
    const journal = createJournal(left, logger)
    await journal.put(entry('prepared', {}, 'b'))
    const { read } = left
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    left.read = async () => {
      await released
      return read()
    }
    const reading = journal.read()
    await journal.put(entry('prepared', {}, 'c'))
    release()
    expect(await reading).toEqual([entry('published', {}, 'a')])
    expect(left.records.size).toBe(3)
    expect(logger.lines).toEqual([])
  })

  test('reports for each entry whether its spool keeps it', async () => {
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    await journal.put(entry('published', {}, 'a'))
    const safe = (): readonly boolean[] => [
      journal.isSafe(entry('published', {}, 'a')),
      journal.isSafe(entry('published', {}, 'b')),
    ]
    expect(safe()).toEqual([true, false])
    spool.isGood = false
    expect(safe()).toEqual([false, false])
  })

  test.each<[what: string, thrown: unknown, reason: string]>([
    ['an error', new Error('the disk failed'), 'the disk failed'],
    ['another value', 'closed', 'closed'],
  ])('logs that its spool rejects with %s, and continues', async (_, thrown, reason) => {
    const spool = createFakeSpool()
    const reject = (): Promise<never> => Promise.reject(thrown)
    Object.assign(spool, { put: reject, remove: reject, read: reject })
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    await journal.put(entry('prepared'))
    expect(await journal.read()).toEqual([])
    journal.remove(entry('prepared'))
    await settle()
    const line = { level: 'error', message: 'spool cannot be used', reason }
    expect(logger.lines).toEqual([line, line, line])
  })

  test('continues when its spool throws synchronously', async () => {
    const spool = createFakeSpool()
    const fail = (): never => {
      throw new Error('closed')
    }
    Object.assign(spool, { put: fail, remove: fail, read: fail })
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    await journal.put(entry('prepared'))
    journal.remove(entry('prepared'))
    expect(await journal.read()).toEqual([])
    expect(logger.lines.map(({ reason }) => reason)).toEqual(['closed', 'closed', 'closed'])
  })

  test('stores nothing without a spool, and reports that', async () => {
    const logger = createRecordingLogger()
    const journal = createJournal(undefined, logger)
    await journal.put(entry('prepared'))
    journal.remove(entry('prepared'))
    expect(await journal.read()).toEqual([])
    expect(journal.isSafe(entry('prepared'))).toBe(false)
    expect(logger.lines).toEqual([])
  })
})
