// The HistoryStore contract on a real engine, and what the store relies on besides.

import { request } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FORMAT_LABEL } from '../../src/history/history-store.ts'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import { describeHistoryStore } from '../support/history-store-contract.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

interface Config {
  readonly ID: string
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> }
}

interface EngineEvent {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

const lab = sharedLab()
const { engine } = lab
const { historyStore: store } = createDockerodeSwarm({ dockerHost: engine.dockerHost })
const data = Buffer.from('x').toString('base64')
const nameOf = (serviceId: string): string => `deployer.history.${serviceId}`

async function listConfigs(): Promise<readonly Config[]> {
  return JSON.parse((await engine.request('GET', '/configs')).text)
}

async function createConfig(Name: string, Labels: Config['Spec']['Labels'] = {}): Promise<string> {
  const { status, text } = await engine.request('POST', '/configs/create', {
    Name,
    Labels,
    Data: data,
  })
  expect(status).toBe(201)
  const { ID } = JSON.parse(text)
  onTestFinished(async () => void (await engine.request('DELETE', `/configs/${ID}`)))
  return ID
}

async function createService() {
  return lab.createService({
    image: lab.image('lab/app:v1'),
    replicas: 0,
    args: ['--no-resolve-image'],
  })
}

describeHistoryStore('configs of a real engine', async () => ({
  store,
  other: createDockerodeSwarm({ dockerHost: engine.dockerHost }).historyStore,
  async createForeign(serviceId, labels) {
    const body = { Name: nameOf(serviceId), Labels: labels, Data: data }
    expect((await engine.request('POST', '/configs/create', body)).status).toBe(201)
  },
  async labels(serviceId) {
    return (await listConfigs()).find(({ Spec }) => Spec.Name === nameOf(serviceId))?.Spec.Labels
  },
  async clear() {
    for (const { ID, Spec } of await listConfigs()) {
      if (Spec.Name.startsWith('deployer.history.'))
        await engine.request('DELETE', `/configs/${ID}`)
    }
  },
}))

describe('configs of a real engine', () => {
  const serviceId = 'wzes0000000000000000config'

  test('a config whose name differs in case only prevents a history, and the error names it', async () => {
    const name = nameOf(serviceId).toUpperCase()
    await createConfig(name, { [FORMAT_LABEL]: '1' })
    expect(await store.read(serviceId)).toBeUndefined()
    await expect(store.write(serviceId, { [FORMAT_LABEL]: '1' }, undefined)).rejects.toMatchObject({
      code: 'engine-error',
      message: expect.stringContaining(`"${name}"`),
    })
  })

  test('a config with the format label and another name is not listed', async () => {
    const label = `deployer.service=${serviceId}`
    await createConfig('mine', { [FORMAT_LABEL]: '1', 'deployer.service': serviceId })
    expect(await store.list(label)).toEqual([])
  })

  test('a config that is named like the ID of a removed history stays as it is', async () => {
    expect(await store.write(serviceId, { [FORMAT_LABEL]: '1' }, undefined)).toBe('written')
    const history = await store.read(serviceId)
    if (history === undefined) throw new Error('The history is missing')
    await store.remove(history)
    const id = await createConfig(history.version.split('.')[0] ?? '', { [FORMAT_LABEL]: '1' })
    await store.remove(history)
    expect((await listConfigs()).map(({ ID }) => ID)).toContain(id)
    await expect(store.write(serviceId, { [FORMAT_LABEL]: '2' }, history)).rejects.toMatchObject({
      message: expect.stringContaining('only updates to Labels are allowed'),
    })
  })

  test('a history outlives a rollback and the removal of its service, and changes neither', async () => {
    const { id, name } = await createService()
    const inspect = async () => JSON.parse((await engine.request('GET', `/services/${id}`)).text)
    await engine.docker('service', 'update', '--detach', '--label-add', 'a=1', name)
    const before = await inspect()
    expect(await store.write(id, { [FORMAT_LABEL]: '1' }, undefined)).toBe('written')
    const history = await store.read(id)
    expect(await store.write(id, { [FORMAT_LABEL]: '1', a: '1' }, history)).toBe('written')
    expect(await inspect()).toEqual(before)
    await engine.docker('service', 'rollback', '--detach', name)
    await engine.docker('service', 'rm', name)
    const kept = await store.read(id)
    expect(kept?.labels).toEqual({ [FORMAT_LABEL]: '1', a: '1' })
    if (kept !== undefined) await store.remove(kept)
  })

  test('labels of more than 1.4 MiB are refused, and the message says so', async () => {
    const labels = { [FORMAT_LABEL]: '1', large: 'x'.repeat(1600 * 1024) }
    await expect(store.write(serviceId, labels, undefined)).rejects.toMatchObject({
      code: 'engine-error',
      message: expect.stringContaining('raft message is too large'),
    })
  })

  test('one event stream reports changes of services and of configs', async () => {
    const filters = encodeURIComponent(JSON.stringify({ type: ['service', 'config'] }))
    const events = await openEvents(`/events?filters=${filters}`)
    const service = await createService()
    onTestFinished(async () => void (await engine.docker('service', 'rm', service.name)))
    await store.write(service.id, { [FORMAT_LABEL]: '1' }, undefined)
    const first = await store.read(service.id)
    await store.write(service.id, { [FORMAT_LABEL]: '1', a: '1' }, first)
    const second = await store.read(service.id)
    if (second !== undefined) await store.remove(second)
    const ofBoth = (): readonly string[] =>
      events()
        .filter(({ Actor }) =>
          [service.name, nameOf(service.id)].includes(Actor.Attributes.name ?? ''),
        )
        .map(({ Type, Action }) => `${Type} ${Action}`)
    await waitFor('the events', async () => ofBoth().includes('config remove'))
    expect(ofBoth()).toEqual(
      expect.arrayContaining(['service create', 'config create', 'config update', 'config remove']),
    )
  })
})

/** Opens an event stream; the result gives the events so far. */
function openEvents(path: string): Promise<() => readonly EngineEvent[]> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: engine.socketPath, path }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk
      })
      response.on('error', () => {})
      resolve(() =>
        text
          .slice(0, text.lastIndexOf('\n') + 1)
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line)),
      )
    })
    call.once('error', reject)
    call.end()
    onTestFinished(() => void call.destroy())
  })
}
