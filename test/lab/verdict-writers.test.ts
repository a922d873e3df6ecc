// Concurrent updates of one service: no change is lost, and each caller gets the correct verdict.

import { execFile } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ALLOWED,
  inspectService,
  type LabDeployer,
  removeServices,
  runningImages,
  startLabDeployer,
} from './lab-deployer.ts'
import { pushCopies } from './manifests.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 20 })

const lab = sharedLab()
const v1 = lab.image('lab/app:v1')
let deployer: LabDeployer

beforeAll(async () => {
  deployer = await startLabDeployer(lab.engine)
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
})

async function create(name: string, args: readonly string[] = []): Promise<string> {
  const { id } = await lab.createService({ name, image: v1, labels: ALLOWED, args })
  await lab.waitRunning(name, v1)
  return id
}

async function copies(name: string, count: number): Promise<readonly string[]> {
  const tags = Array.from({ length: count }, (_, index) => `${name}${index}`)
  await pushCopies(lab.registry.address, 'lab/app:v2', tags)
  return tags.map((tag) => lab.image(`lab/app:${tag}`))
}

/** How many updates of the other client succeeded, and how many were out of date. */
interface Written {
  readonly written: number
  readonly refused: number
}

/** Starts another client, which adds labels and variables until it is stopped. */
function startWriter(service: string): { stop(): Promise<Written> } {
  let isStopped = false
  let written = 0
  let refused = 0

  async function writeOnce(): Promise<void> {
    const { text } = await lab.engine.request('GET', `/services/${service}`)
    const { ID, Version, Spec } = JSON.parse(text)
    Spec.Labels[`label${written}`] = `${written}`
    const { ContainerSpec } = Spec.TaskTemplate
    ContainerSpec.Env = [...(ContainerSpec.Env ?? []), `VARIABLE${written}=${written}`]
    const path = `/services/${ID}/update?version=${Version.Index}`
    const answer = await lab.engine.request('POST', path, Spec)
    if (answer.status === 200) {
      written += 1
    } else {
      expect(answer.text).toContain('out of sequence')
      refused += 1
    }
  }

  async function run(): Promise<Written> {
    while (!isStopped) {
      await writeOnce()
    }
    return { written, refused }
  }

  const running = run()
  return {
    stop() {
      isStopped = true
      return running
    },
  }
}

/** Records the images of a service from the events of the engine. */
function startListening(id: string): { images(): readonly string[]; stop(): void } {
  const format = '{{index .Actor.Attributes "image.new"}}'
  const filter = ['--filter', 'type=service', '--filter', `service=${id}`]
  const args = ['-H', lab.engine.dockerHost, 'events', ...filter, '--format', format]
  // The events of the last second are included, since the program needs time to start.
  const since = `--since=${Math.floor(Date.now() / 1000) - 1}`
  const child = execFile('/usr/bin/docker', [...args, since])
  let text = ''
  child.stdout?.on('data', (data) => {
    text += data
  })
  return {
    images: () => text.split('\n').filter((line) => line !== '' && line !== '<no value>'),
    stop: () => void child.kill(),
  }
}

describe.concurrent('concurrent updates of one service', () => {
  test('of 50 callers that wait one gets converged, the others get superseded, and none gets a 5xx', async () => {
    // With stop-first Docker 20.10 needs up to a minute after so many updates: it waits for the end of a
    // task that did not start.
    await create('crowded', ['--update-order=start-first'])
    const images = await copies('crowd', 50)
    const answers = await Promise.all(
      images.map((image) => deployer.put('crowded?wait=150', image)),
    )
    const verdicts = answers.map(({ status, body }) => `${status} ${body.verdict ?? body.detail}`)
    const best = answers.find(({ body }) => body.verdict === 'converged')
    expect(verdicts.toSorted()).toEqual(['200 converged', ...Array(49).fill('409 superseded')])
    expect(await runningImages(lab.engine, 'crowded')).toEqual([best?.body.resolved])
    const { Image } = (await inspectService(lab.engine, 'crowded')).Spec.TaskTemplate.ContainerSpec
    expect(Image).toBe(best?.body.resolved)
  })

  test('10 images are deployed while another client changes labels and variables, and nothing is lost', async () => {
    const id = await create('shared')
    const images = await copies('image', 10)
    const engine = startListening(id)
    const writer = startWriter('shared')
    const resolved: unknown[] = []
    for (const image of images) {
      const { status, body } = await deployer.put('shared', image)
      expect([status, body.verdict]).toEqual([200, 'accepted'])
      resolved.push(body.resolved)
    }
    const { written, refused } = await writer.stop()
    await waitFor('the last event', () => engine.images().includes(`${resolved.at(-1)}`))
    engine.stop()
    expect(engine.images()).toEqual(resolved)
    const { Labels, TaskTemplate } = (await inspectService(lab.engine, 'shared')).Spec
    const { Image, Env } = TaskTemplate.ContainerSpec
    const numbers = Array.from({ length: written }, (_, number) => number)
    expect(Image).toBe(resolved.at(-1))
    expect(Env).toEqual(numbers.map((number) => `VARIABLE${number}=${number}`))
    expect(Labels).toMatchObject(
      Object.fromEntries(numbers.map((number) => [`label${number}`, `${number}`])),
    )
    // There were enough updates for conflicts.
    expect(Math.min(written, refused)).toBeGreaterThan(5)
  })

  test('a label that changes during the rollout, which resets UpdateStatus, does not prevent the verdict converged', async () => {
    await create('labelled', ['--update-monitor=3s'])
    const answer = deployer.put('labelled?wait=150', lab.image('lab/app:v3'))
    await waitFor('the update to begin', async () => {
      const { UpdateStatus } = await inspectService(lab.engine, 'labelled')
      return UpdateStatus?.State === 'updating'
    })
    await lab.engine.docker('service', 'update', '--detach', '--label-add=a=b', 'labelled')
    expect((await inspectService(lab.engine, 'labelled')).UpdateStatus).toBeUndefined()
    const { status, body } = await answer
    expect([status, body.verdict]).toEqual([200, 'converged'])
    expect(await runningImages(lab.engine, 'labelled')).toEqual([body.resolved])
  })
})
