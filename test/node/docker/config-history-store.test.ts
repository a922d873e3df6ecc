// The store of histories on a scripted engine, for situations that a real engine does not produce.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  FORMAT_LABEL,
  type HistoryStore,
  type StoredHistory,
} from '../../../src/history/history-store.ts'
import {
  type Answer,
  type ScriptedEngine,
  scriptedEngine,
  text,
} from '../../support/scripted-engine.ts'

const SERVICE_ID = 'wzes4ibb3lkgn52q8n7xw0cz1'
const NAME = `deployer.history.${SERVICE_ID}`
const LABELS = { [FORMAT_LABEL]: '1', 'deployer.service': 'blog' }
const HISTORY: StoredHistory = { serviceId: SERVICE_ID, version: 'abc.7', labels: LABELS }
const GONE = '{"message":"config abc not found"}'

let engine: ScriptedEngine
let store: HistoryStore

beforeEach(async () => {
  engine = await scriptedEngine()
  store = engine.swarm.historyStore
})

afterEach(() => engine.close())

const config = (changes: object = {}, spec: object = {}): object => ({
  ID: 'abc',
  Version: { Index: 7 },
  Spec: { Name: NAME, Labels: LABELS, Data: 'eA==', ...spec },
  ...changes,
})

const json = (status: number, body: unknown): Answer => text(status, JSON.stringify(body))

/** Answers each request with the answer of its method. */
const byMethod =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (request, response) =>
    answers[request.method ?? '']?.(request, response)

const CALLS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['read', () => store.read(SERVICE_ID)],
  ['create', () => store.write(SERVICE_ID, LABELS, undefined)],
  ['update', () => store.write(SERVICE_ID, LABELS, HISTORY)],
  ['list', () => store.list('deployer.service=blog')],
  ['remove', () => store.remove(HISTORY)],
]

describe('requests', () => {
  const lines = (): readonly string[] => engine.requests.map(({ line }) => line)

  test('a history is read by its full name', async () => {
    engine.answer = json(200, config())
    expect(await store.read(SERVICE_ID)).toEqual(HISTORY)
    expect(lines()).toEqual([`GET /configs/${NAME}`])
  })

  test.each(['', 'a/b', '..', 'a b', 'a?b', 'x'.repeat(48)])(
    'the ID %j, which no service has, is not requested',
    async (id) => {
      expect(await store.read(id)).toBeUndefined()
      expect(lines()).toEqual([])
    },
  )

  test('a config is created with constant data and all labels', async () => {
    engine.answer = json(201, { ID: 'abc' })
    expect(await store.write(SERVICE_ID, LABELS, undefined)).toBe('written')
    expect(lines()).toEqual(['POST /configs/create'])
    const { Data, ...spec } = JSON.parse(engine.requests[0]?.body ?? '')
    expect(spec).toEqual({ Name: NAME, Labels: LABELS })
    expect(Buffer.from(Data, 'base64').toString()).toMatch(/^The history of a service.*\n$/)
  })

  test('an update names the ID and the version, and contains no data', async () => {
    engine.answer = text(200, '')
    expect(await store.write(SERVICE_ID, LABELS, HISTORY)).toBe('written')
    expect(lines()).toEqual(['POST /configs/abc/update?version=7'])
    expect(JSON.parse(engine.requests[0]?.body ?? '')).toEqual({ Name: NAME, Labels: LABELS })
  })

  test('a list is never requested without the format label', async () => {
    engine.answer = json(200, [config()])
    expect(await store.list('deployer.service=blog')).toEqual([HISTORY])
    const filters = { label: [FORMAT_LABEL, 'deployer.service=blog'] }
    expect(lines()).toEqual([
      `GET /configs?${new URLSearchParams({ filters: JSON.stringify(filters) })}`,
    ])
  })

  test('a history is inspected and then removed by its ID', async () => {
    engine.answer = byMethod({ GET: json(200, config()), DELETE: text(204, '') })
    await store.remove(HISTORY)
    expect(lines()).toEqual([`GET /configs/${NAME}`, 'DELETE /configs/abc'])
  })

  test.each([
    ['another version', config({ Version: { Index: 8 } })],
    ['another ID', config({ ID: 'xyz' })],
    ['another name', config({}, { Name: `${NAME}0` })],
    ['no format label', config({}, { Labels: { 'deployer.service': 'blog' } })],
    ['no labels', config({}, { Labels: null })],
  ])('a config with %s is not removed', async (_, body) => {
    engine.answer = json(200, body)
    await store.remove(HISTORY)
    expect(lines()).toEqual([`GET /configs/${NAME}`])
  })

  test('a config that is removed meanwhile is no error', async () => {
    engine.answer = byMethod({ GET: json(200, config()), DELETE: text(404, GONE) })
    await store.remove(HISTORY)
    expect(lines()).toHaveLength(2)
  })
})

describe('configs that others made', () => {
  test.each([
    ['with another name', config({}, { Name: NAME.toUpperCase() })],
    ['whose ID begins like the name', config({}, { Name: 'mine' })],
    ['without the format label', config({}, { Labels: { 'deployer.service': 'blog' } })],
    ['without labels', config({}, { Labels: null })],
  ])('a config %s is not read or listed, and a history is not created', async (_, body) => {
    engine.answer = json(200, body)
    expect(await store.read(SERVICE_ID)).toBeUndefined()
    engine.answer = json(200, [body])
    expect(await store.list('deployer.service=blog')).toEqual([])
    engine.answer = byMethod({ GET: json(200, body), POST: json(409, { message: 'exists' }) })
    await expect(store.write(SERVICE_ID, LABELS, undefined)).rejects.toMatchObject({
      code: 'engine-error',
      message: expect.stringContaining('docker config rm'),
    })
  })

  test('a name in use by a history is out-of-sequence', async () => {
    engine.answer = byMethod({ GET: json(200, config()), POST: json(409, { message: 'exists' }) })
    expect(await store.write(SERVICE_ID, LABELS, undefined)).toBe('out-of-sequence')
  })

  test('a name in use by a config that is removed meanwhile is out-of-sequence', async () => {
    engine.answer = byMethod({ GET: text(404, GONE), POST: json(409, { message: 'exists' }) })
    expect(await store.write(SERVICE_ID, LABELS, undefined)).toBe('out-of-sequence')
  })
})

describe('errors', () => {
  test.each([
    ['403 of a proxy', text(403, '<html>Forbidden</html>')],
    ['403 of an authorization plugin', json(403, { message: 'authorization denied by plugin' })],
    ['404 of a proxy', text(404, 'not here')],
    ['404 of a proxy in JSON', json(404, { message: 'no Route matched' })],
    ['404 without a body', text(404, '')],
    ['404 in plain text', text(404, `config ${NAME} not found`)],
    ['405 of a proxy', text(405, 'Method Not Allowed')],
  ])('%s is history-unavailable for each call', async (_, answer) => {
    engine.answer = answer
    for (const [name, call] of CALLS) {
      await expect(call(), name).rejects.toMatchObject({
        code: 'history-unavailable',
        message: expect.stringMatching(/^Cannot .* DOCKER_HOST does not allow .* HISTORY=label$/),
      })
    }
  })

  test('the text of a proxy is not in the message, and that of the engine is', async () => {
    engine.answer = text(403, 'secret.example.com')
    await expect(store.read(SERVICE_ID)).rejects.toMatchObject({
      message: expect.not.stringContaining('secret'),
    })
    engine.answer = json(403, { message: 'denied by plugin x' })
    await expect(store.read(SERVICE_ID)).rejects.toMatchObject({
      message: expect.stringContaining('(it answered 403: denied by plugin x)'),
    })
  })

  test('a proxy that allows reading only is history-unavailable for writes', async () => {
    engine.answer = byMethod({
      GET: json(200, config()),
      POST: text(403, ''),
      DELETE: text(403, ''),
    })
    expect(await store.read(SERVICE_ID)).toEqual(HISTORY)
    for (const call of [
      () => store.write(SERVICE_ID, LABELS, undefined),
      () => store.write(SERVICE_ID, LABELS, HISTORY),
      () => store.remove(HISTORY),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'history-unavailable' })
    }
  })

  test.each<readonly [string, string, number, string]>([
    ['engine-error', 'an error of the engine', 500, 'something broke'],
    ['engine-error', 'a redirect', 302, ''],
    ['engine-error', 'a bad gateway', 502, ''],
    ['no-quorum', 'no leader', 500, 'rpc error: The swarm does not have a leader.'],
    ['not-a-manager', 'a worker', 503, 'This node is not a swarm manager.'],
    ['swarm-locked', 'a locked swarm', 503, 'Swarm is encrypted and needs to be unlocked'],
  ])('%s for each call: %s', async (code, _, status, message) => {
    engine.answer = json(status, { message })
    for (const [name, call] of CALLS) {
      await expect(call(), name).rejects.toMatchObject({ code })
    }
  })

  test('a stale version and a config that is gone are out-of-sequence', async () => {
    const message = 'rpc error: code = Unknown desc = update out of sequence'
    engine.answer = json(500, { message })
    expect(await store.write(SERVICE_ID, LABELS, HISTORY)).toBe('out-of-sequence')
    engine.answer = text(404, GONE)
    expect(await store.write(SERVICE_ID, LABELS, HISTORY)).toBe('out-of-sequence')
  })

  test('a broken connection is engine-unreachable for each call', async () => {
    engine.answer = (request) => request.socket.destroy()
    for (const [name, call] of CALLS) {
      await expect(call(), name).rejects.toMatchObject({
        code: 'engine-unreachable',
        message: expect.stringContaining('histor'),
      })
    }
  })

  test('an engine that does not answer is engine-unreachable after the time limit', async () => {
    const slow = await scriptedEngine(200)
    const { historyStore } = slow.swarm
    await expect(historyStore.read(SERVICE_ID)).rejects.toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('within 200 ms'),
    })
    await slow.close()
  })

  test.each([
    '',
    '<html>',
    'null',
    '[]',
    '{"ID":"abc"}',
    JSON.stringify(config({ ID: 1 })),
    JSON.stringify(config({ Version: {} })),
    JSON.stringify(config({}, { Name: undefined })),
    JSON.stringify(config({}, { Labels: { a: 1 } })),
  ])('a 200 that is not a config is an error: %j', async (body) => {
    engine.answer = text(200, body)
    await expect(store.read(SERVICE_ID)).rejects.toMatchObject({ code: 'engine-error' })
    await expect(store.remove(HISTORY)).rejects.toMatchObject({ code: 'engine-error' })
    engine.answer = text(200, body === '' ? '{}' : `[${body}]`)
    await expect(store.list('a=b')).rejects.toMatchObject({ code: 'engine-error' })
  })

  test('another status than that of a success is an error', async () => {
    engine.answer = json(200, { ID: 'abc' })
    await expect(store.write(SERVICE_ID, LABELS, undefined)).rejects.toMatchObject({
      code: 'engine-error',
    })
    engine.answer = json(202, {})
    await expect(store.write(SERVICE_ID, LABELS, HISTORY)).rejects.toMatchObject({
      code: 'engine-error',
    })
  })
})
