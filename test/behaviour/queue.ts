// Behaviour of concurrent requests for one service: which one is written, and the verdicts of the others.

import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import {
  type Answer,
  type Case,
  countCalls,
  createHarness,
  holdResolving,
  holdUpdates,
  imageOf,
  pass,
  pinned,
  until,
} from './harness.ts'

const FIFTY = Array.from({ length: 50 }, (_, index) => `me/app:r${index + 1}`)

function verdictsOf(answers: readonly Answer[]): readonly unknown[] {
  return answers.map(({ body }) => body.verdict)
}

export const queue: readonly Case[] = [
  {
    name: '50 images at once: the latest is deployed, and each other response names the image that replaced it',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const query = '?wait=50'
      const letGo = holdUpdates(swarm)
      const requests = FIFTY.map((image) => put('blog', { image, query }))
      await until(() => countCalls(swarm, 'resolve') === 50)
      await pass()
      letGo()
      const answers = await Promise.all(requests)
      equal(imageOf(swarm, 'blog'), pinned('me/app:r50'))
      const last = answers.at(-1)
      equal([last?.status, last?.body.verdict], [200, 'converged'])
      const others = answers.slice(0, -1)
      equal([...new Set(others.map(({ status }) => status))], [409])
      equal([...new Set(verdictsOf(others))], ['superseded'])
      const messages = others.map(({ body }) => String(body.message))
      equal(
        messages.filter((message) => !message.includes('me/app:r50')),
        [],
      )
      equal(
        others.map(({ body }) => [body.image, body.resolved]),
        FIFTY.slice(0, -1).map((image) => [image, pinned(image)]),
      )
      equal(countCalls(swarm, 'update') <= 2, true)
    },
  },
  {
    name: '50 images at once without a wait: no response is a 5xx, and each ID has the right verdict later',
    async run() {
      const { swarm, put, get } = createHarness()
      swarm.addService('blog')
      const answers = await Promise.all(FIFTY.map((image) => put('blog', { image })))
      equal(
        answers.filter(({ status }) => status !== 200 && status !== 409),
        [],
      )
      const later = await Promise.all(
        answers.map(({ headers }) => get(`${headers.get('Location')}?wait=50`)),
      )
      equal(verdictsOf(later), [...FIFTY.slice(1).map(() => 'superseded'), 'converged'])
      equal(new Set(answers.map(({ body }) => body.deploymentId)).size, 50)
    },
  },
  {
    name: '50 callers with the same image: one write, one deployment, one message, one verdict for all',
    async run() {
      const { swarm, notifier, put } = createHarness()
      swarm.addService('blog')
      const answers = await Promise.all(FIFTY.map(() => put('blog', { query: '?wait=50' })))
      equal([...new Set(verdictsOf(answers))], ['converged'])
      equal(new Set(answers.map(({ body }) => body.deploymentId)).size, 1)
      equal([countCalls(swarm, 'update'), notifier.accepted().length], [1, 1])
    },
  },
  {
    name: 'of requests that wait for a write, the same image joins, the latest is written, the others are superseded',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const images = ['me/app:v2', 'me/app:v3', 'me/app:v4', 'me/app:v3', 'me/app:v4']
      const answers: Promise<Answer>[] = []
      for (const image of images) {
        answers.push(put('blog', { image, query: '?wait=50' }))
        await pass()
      }
      letGo()
      const responses = await Promise.all(answers)
      equal(verdictsOf(responses), [
        'superseded',
        'superseded',
        'converged',
        'superseded',
        'converged',
      ])
      const ids = responses.map(({ body }) => body.deploymentId)
      equal([ids[2] === ids[4], ids[1] === ids[0]], [true, false])
      equal(countCalls(swarm, 'update'), 2)
    },
  },
  {
    name: 'an image that is being written, and requested again after another one, is written last',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const answers: Promise<Answer>[] = []
      for (const image of ['me/app:v2', 'me/app:v3', 'me/app:v2']) {
        answers.push(put('blog', { image, query: '?wait=50' }))
        await pass()
      }
      letGo()
      equal(verdictsOf(await Promise.all(answers)), ['converged', 'superseded', 'converged'])
      equal(imageOf(swarm, 'blog'), pinned('me/app:v2'))
    },
  },
  {
    name: 'a latest request that is rejected does not affect the earlier ones',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const first = put('blog', { image: 'me/app:v2', query: '?wait=50' })
      await pass()
      const second = put('blog', { image: 'me/app:v3', query: '?wait=50' })
      await pass()
      const body = JSON.stringify({ image: 'me/app:v4', expect: 'me/app:v1' })
      const third = put('blog', { body, query: '?wait=50' })
      await pass()
      letGo()
      equal(verdictsOf([await first, await second]), ['superseded', 'converged'])
      const refused = await third
      equal([refused.status, refused.body.code], [409, 'image-mismatch'])
      equal(refused.body.running, pinned('me/app:v2'))
    },
  },
  {
    name: 'an older request with a slow registry does not overwrite a newer one',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdResolving(swarm, 'docker.io/me/app:slow')
      const slow = put('blog', { image: 'me/app:slow', query: '?wait=50' })
      await pass()
      equal((await put('blog', { image: 'me/app:v2', query: '?wait=50' })).status, 200)
      letGo()
      const { status, body } = await slow
      equal([status, body.verdict], [409, 'superseded'])
      equal([imageOf(swarm, 'blog'), countCalls(swarm, 'update')], [pinned('me/app:v2'), 1])
    },
  },
  {
    name: 'the previous image, requested while another one is in progress, is written again',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal((await put('blog', { image: 'me/app:v2', query: '?wait=50' })).status, 200)
      const letGo = holdResolving(swarm, 'docker.io/me/app:v2')
      const other = put('blog', { image: 'me/app:v3' })
      const back = put('blog', { image: 'me/app:v2', query: '?wait=50' })
      equal((await other).body.verdict, 'accepted')
      letGo()
      const { status, body } = await back
      equal([status, body.verdict, body.previous], [200, 'converged', pinned('me/app:v3')])
      equal(imageOf(swarm, 'blog'), pinned('me/app:v2'))
    },
  },
  {
    name: 'a restart that waits behind a new image restarts the new image',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      const first = put('blog', { image: 'me/app:v2' })
      await pass()
      const restart = put('blog', { body: '{"force":true}' })
      await pass()
      letGo()
      equal([(await first).status, (await restart).status], [200, 200])
      const { ForceUpdate } = swarm.spec('blog').TaskTemplate
      equal([imageOf(swarm, 'blog'), ForceUpdate], [pinned('me/app:v2'), 1])
      equal((await restart).body.resolved, pinned('me/app:v2'))
    },
  },
  {
    name: 'a restart keeps the image that another client writes at the same time',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      let isChanged = false
      swarm.beforeUpdate = () => {
        if (!isChanged) {
          isChanged = true
          swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
            ...spec,
            TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
          }))
        }
      }
      equal((await put('blog', { body: '{"force":true}' })).body.resolved, 'me/app:v9')
      equal(imageOf(swarm, 'blog'), 'me/app:v9')
    },
  },
  {
    name: 'an error of the engine ends all requests that wait for it, and the next request is written',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const letGo = holdUpdates(swarm)
      swarm.beforeUpdate = () => {
        throw new DeployerError('no-quorum', 'Cannot update')
      }
      const first = put('blog', { image: 'me/app:v2' })
      await pass()
      const second = put('blog', { image: 'me/app:v3' })
      await pass()
      letGo()
      const codes = [(await first).body.code, (await second).body.code]
      equal(codes, ['no-quorum', 'no-quorum'])
      swarm.beforeUpdate = () => {}
      equal((await put('blog', { image: 'me/app:v2', query: '?wait=50' })).status, 200)
    },
  },
  {
    name: 'services do not wait for each other',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.addService('shop')
      const { updateService } = swarm
      const letGo = holdUpdates(swarm)
      const held = swarm.updateService
      swarm.updateService = (service, spec, credentials) =>
        (service.Spec.Name === 'blog' ? held : updateService)(service, spec, credentials)
      const blog = put('blog')
      await pass()
      equal((await put('shop', { query: '?wait=50' })).body.verdict, 'converged')
      letGo()
      equal((await blog).status, 200)
    },
  },
  {
    name: 'a client that changes labels and env all the time loses nothing, and neither does the deployment',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      let changes = 0
      swarm.beforeUpdate = () => {
        if (changes < 5) {
          changes += 1
          swarm.change('blog', ({ Labels, TaskTemplate, ...spec }) => ({
            ...spec,
            Labels: { ...Labels, [`n${changes}`]: '' },
            TaskTemplate: {
              ...TaskTemplate,
              ContainerSpec: { Image: 'me/app:v1', Env: [`A=${changes}`] },
            },
          }))
        }
      }
      equal((await put('blog', { query: '?wait=50' })).body.verdict, 'converged')
      const { Labels, TaskTemplate } = swarm.spec('blog')
      equal(TaskTemplate.ContainerSpec, { Image: pinned('me/app:v2'), Env: ['A=5'] })
      equal(
        Object.keys(Labels ?? {}).filter((label) => label.startsWith('n')),
        ['n1', 'n2', 'n3', 'n4', 'n5'],
      )
    },
  },
  {
    name: 'a lost response of an applied write is a deployment like any other, and is not written twice',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.afterUpdate = () => {
        throw new DeployerError('no-quorum', 'Cannot update: node lost leader status')
      }
      const { status, body } = await put('blog', { query: '?wait=50' })
      equal([status, body.verdict, countCalls(swarm, 'update')], [200, 'converged', 1])
    },
  },
  {
    name: 'a lost response is reported as the error when another client has written another image since',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.afterUpdate = () => {
        swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
          ...spec,
          TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v9' } },
        }))
        throw new DeployerError('engine-unreachable', 'Cannot update: the connection broke')
      }
      equal((await put('blog')).body.code, 'engine-unreachable')
      equal([imageOf(swarm, 'blog'), countCalls(swarm, 'update')], ['me/app:v9', 1])
    },
  },
  {
    name: 'a lost response whose write is not on the service is reported as the error, even for the same image',
    async run() {
      const { swarm, put, notifier } = createHarness()
      swarm.addService('blog')
      swarm.beforeUpdate = () => {
        swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
          ...spec,
          TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: pinned('me/app:v2') } },
        }))
        throw new DeployerError('engine-unreachable', 'Cannot update: the connection broke')
      }
      equal((await put('blog')).body.code, 'engine-unreachable')
      equal([notifier.accepted(), countCalls(swarm, 'update')], [[], 1])
    },
  },
]
