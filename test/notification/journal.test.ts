// What is still to be told of deployments, and how it comes through a restart.

import { describe, expect, test } from 'vitest'
import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import {
  createJournal,
  type DeploymentState,
  type JournalEntry,
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

function entry(
  stage: DeploymentState,
  differs: Partial<Deployment> = {},
  letter = '0',
): JournalEntry {
  const one = { ...deployment, ...differs }
  const origin = { ...ORIGIN, messageId: letter.repeat(32) }
  return { stage, deployment: one, deploymentId: deploymentId(one), origin }
}

const KINDS: readonly (readonly [name: string, entry: JournalEntry])[] = [
  ['that is about to be written', entry('intended')],
  ['that was accepted', entry('accepted')],
  ['that was told', entry('told')],
  ['that changed nothing', entry('accepted', { unwritten: 'unchanged' })],
  ['that was overtaken', entry('told', { unwritten: 'superseded' })],
  ['that was forced', entry('accepted', { forceUpdate: '3' })],
  ['that was forced beyond 2^53', entry('accepted', { forceUpdate: '17326312345678901' })],
  ['that was refused', { event: exampleEvent({ event: 'refused', metadata: { run: '1' } }) }],
  ['of which one word is told', { event: exampleEvent({ event: 'converged', error: '' }) }],
]

/** All the removes, and what they take. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0))
}

describe('the journal', () => {
  test.each(KINDS)('gives back a deployment %s as it was, in another process', async (_, kept) => {
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

  test.each(KINDS)('keeps one %s under a key that a spool can take', async (_, kept) => {
    const spool = createFakeSpool()
    await createJournal(spool, createRecordingLogger()).put(kept)
    for (const key of spool.records.keys()) {
      expect(key).toMatch(/^[\w-]{1,120}$/)
    }
  })

  test('has one entry of a deployment: how far it has come last', async () => {
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    for (const stage of ['intended', 'accepted', 'told'] as const) {
      await journal.put(entry(stage))
    }
    expect(spool.records.size).toBe(1)
    expect(await createJournal(spool.copy(), createRecordingLogger()).read()).toEqual([
      entry('told'),
    ])
  })

  test('keeps the entries of one moment apart, and each removal takes its own', async () => {
    const spool = createFakeSpool()
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    const refused = { event: exampleEvent({ event: 'refused', startedAt: deployment.startedAt }) }
    const entries = [entry('told', {}, 'a'), entry('told', {}, 'b'), refused]
    await Promise.all(entries.map((one) => journal.put(one)))
    journal.remove(entry('told', {}, 'a'))
    await settle()
    expect(await createJournal(spool.copy(), logger).read()).toEqual(entries.slice(1))
    journal.remove(refused)
    await settle()
    expect(await createJournal(spool.copy(), logger).read()).toEqual([entry('told', {}, 'b')])
  })

  test('gives back what was kept in the order of time, whatever its kind', async () => {
    const times = [
      '2026-11-24T14:00:00.000Z',
      '2026-11-24T14:00:00.001Z',
      '2026-11-24T14:00:01.000Z',
      '2026-11-24T14:01:00.000Z',
      '2026-11-25T00:00:00.000Z',
    ]
    const entries = times.map((startedAt, index): JournalEntry => {
      // The letters fall, so that only the time tells.
      const letter = 'fedcb'.charAt(index)
      return index % 2 === 0
        ? entry('accepted', { startedAt }, letter)
        : { event: exampleEvent({ event: 'refused', startedAt, id: `msg_${letter}_refused` }) }
    })
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    for (const one of entries.toReversed()) {
      await journal.put(one)
    }
    expect(await createJournal(spool.copy(), createRecordingLogger()).read()).toEqual(entries)
  })

  const good = { stage: 'told', deploymentId: deploymentId(deployment), origin: ORIGIN }
  test.each<[said: string, value: unknown]>([
    ['null', null],
    ['a number', 1],
    ['a text', 'told'],
    ['a list', [good]],
    ['nothing', {}],
    ['no stage', { ...good, stage: undefined }],
    ['a stage that nobody knows', { ...good, stage: 'begun' }],
    ['no ID', { ...good, deploymentId: undefined }],
    ['an ID that is a number', { ...good, deploymentId: 1 }],
    ['an ID that is none', { ...good, deploymentId: 'WzEs' }],
    ['half an ID', { ...good, deploymentId: good.deploymentId.slice(0, -4) }],
    ['no origin', { ...good, origin: undefined }],
    ['half an origin', { ...good, origin: { ...ORIGIN, metadata: undefined } }],
    ['half an event', { event: { ...exampleEvent(), endedAt: undefined } }],
    ['an event that is null', { event: null }],
    ['under a key that is not its own', good],
  ])('logs and removes a record that is %s, and gives back the others', async (_, value) => {
    const spool = createFakeSpool()
    spool.records.set('1-bad', JSON.stringify(value))
    const key = `${Date.parse('2026-11-24T14:00:00.000Z')}-${ORIGIN.messageId}`
    spool.records.set(key, JSON.stringify(good))
    const logger = createRecordingLogger()
    expect(await createJournal(spool, logger).read()).toEqual([entry('told')])
    expect(logger.lines).toEqual([
      { level: 'error', message: 'spooled deployment cannot be read', key: '1-bad' },
    ])
    await settle()
    expect([...spool.records.keys()]).toEqual([key])
  })

  test('does not give back what is put before or while it reads', async () => {
    const spool = createFakeSpool()
    const logger = createRecordingLogger()
    await createJournal(spool, logger).put(entry('told', {}, 'a'))
    const left = spool.copy()
    const journal = createJournal(left, logger)
    await journal.put(entry('intended', {}, 'b'))
    const { read } = left
    let go = (): void => {}
    const gone = new Promise<void>((resolve) => {
      go = resolve
    })
    left.read = async () => {
      await gone
      return read()
    }
    const reading = journal.read()
    await journal.put(entry('intended', {}, 'c'))
    go()
    expect(await reading).toEqual([entry('told', {}, 'a')])
    expect(left.records.size).toBe(3)
    expect(logger.lines).toEqual([])
  })

  test('knows what would outlive the process: what its spool says of that very entry', async () => {
    const spool = createFakeSpool()
    const journal = createJournal(spool, createRecordingLogger())
    await journal.put(entry('told', {}, 'a'))
    const safe = (): readonly boolean[] => [
      journal.isSafe(entry('told', {}, 'a')),
      journal.isSafe(entry('told', {}, 'b')),
    ]
    expect(safe()).toEqual([true, false])
    spool.isGood = false
    expect(safe()).toEqual([false, false])
  })

  test.each<[what: string, thrown: unknown, reason: string]>([
    ['an error', new Error('the disk is gone'), 'the disk is gone'],
    ['what is no error', 'gone', 'gone'],
  ])('logs it when its spool rejects with %s, and goes on', async (_, thrown, reason) => {
    const spool = createFakeSpool()
    const reject = (): Promise<never> => Promise.reject(thrown)
    Object.assign(spool, { put: reject, remove: reject, read: reject })
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    await journal.put(entry('intended'))
    expect(await journal.read()).toEqual([])
    journal.remove(entry('intended'))
    await settle()
    const line = { level: 'error', message: 'spool cannot be used', reason }
    expect(logger.lines).toEqual([line, line, line])
  })

  test('goes on when its spool throws at once', async () => {
    const spool = createFakeSpool()
    const fail = (): never => {
      throw new Error('closed')
    }
    Object.assign(spool, { put: fail, remove: fail, read: fail })
    const logger = createRecordingLogger()
    const journal = createJournal(spool, logger)
    await journal.put(entry('intended'))
    journal.remove(entry('intended'))
    expect(await journal.read()).toEqual([])
    expect(logger.lines.map(({ reason }) => reason)).toEqual(['closed', 'closed', 'closed'])
  })

  test('keeps nothing without a spool, and says so', async () => {
    const logger = createRecordingLogger()
    const journal = createJournal(undefined, logger)
    await journal.put(entry('intended'))
    journal.remove(entry('intended'))
    expect(await journal.read()).toEqual([])
    expect(journal.isSafe(entry('intended'))).toBe(false)
    expect(logger.lines).toEqual([])
  })
})
