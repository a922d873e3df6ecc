// Behaviour of accepted deployments.

import { DeployerError } from '../../src/errors.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, createHarness, imageOf, pinned, read, TOKEN } from './harness.ts'

const NAMES = ['shop_web', 'a', '9', 'a--b__c', 'A-b', 'x'.repeat(63), 'Blog']

export const deployments: readonly Case[] = [
  {
    name: 'the documented curl line works: a token without a scheme, and a form content type',
    async run() {
      const { swarm, notifier, put } = createHarness()
      const { ID } = swarm.addService('blog', { image: 'me/blog:v1.11' })
      const answer = await put('blog', {
        image: 'me/blog:v1.12',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: TOKEN },
      })
      const deployment = {
        service: 'blog',
        serviceId: ID,
        image: 'me/blog:v1.12',
        previous: 'me/blog:v1.11',
      }
      const { deploymentId, startedAt } = answer.body
      equal(answer.status, 200)
      equal(answer.body, {
        verdict: 'accepted',
        deploymentId,
        ...deployment,
        resolved: pinned('me/blog:v1.12'),
        startedAt,
      })
      equal(/^[A-Za-z0-9_-]+$/.test(String(deploymentId)), true)
      equal(new Date(String(startedAt)).toISOString(), startedAt)
      equal(answer.headers.get('Location'), `/deployments/${deploymentId}`)
      equal(answer.headers.get('Content-Type'), 'application/json')
      equal(imageOf(swarm, 'blog'), pinned('me/blog:v1.12'))
      equal(
        notifier.accepted().map(({ service, serviceId, image, previous }) => ({
          ...{ service, serviceId, image, previous },
        })),
        [deployment],
      )
    },
  },
  ...NAMES.map((name) => ({
    name: `a service may be named ${name}`,
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService(name)
      equal((await put(name)).body.service, name)
    },
  })),
  {
    name: 'a service name is percent-decoded once',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal((await put('%62l%6Fg')).status, 200)
      equal((await put('%2562log')).status, 404)
    },
  },
  {
    name: 'a full service ID works, and the response and the message contain the name',
    async run() {
      const { swarm, notifier, put } = createHarness()
      const { ID } = swarm.addService('blog')
      const { status, body } = await put(ID)
      equal([status, body.service, body.serviceId], [200, 'blog', ID])
      equal(
        notifier.accepted().map(({ service }) => service),
        ['blog'],
      )
    },
  },
  {
    name: 'everything in the spec except image, platforms and record is sent back unchanged',
    async run() {
      const { swarm, put } = createHarness()
      const spec = {
        Labels: { 'deployer.allowUpdates': 'true', other: '' },
        TaskTemplate: {
          ContainerSpec: {
            Image: 'me/blog:v1',
            Env: ['A=1', 'B=<&>'],
            Mounts: [{ Type: 'bind', Source: '/a', Target: '/b' }],
            FromTheFuture: { deep: [1, null, { x: 0.1 }] },
          },
          ForceUpdate: 3,
          Placement: { Constraints: ['node.role == manager'] },
        },
        Mode: { Replicated: { Replicas: 2 } },
        UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0.25 },
        NewerEngine: { kept: true },
      }
      swarm.addService('blog', { spec })
      const before: ServiceSpec = structuredClone(swarm.spec('blog'))
      const { body } = await put('blog', { image: 'me/blog:v2' })
      const { TaskTemplate } = before
      const record = swarm.spec('blog').Labels?.['deployer.deployments'] ?? ''
      equal([record.length, record.slice(0, -8)], [38, `10/${body.startedAt}///`])
      equal(swarm.spec('blog'), {
        ...before,
        Labels: {
          ...before.Labels,
          'deployer.deployments': record,
          'deployer.requestedAt': swarm.spec('blog').Labels?.['deployer.requestedAt'],
        },
        TaskTemplate: {
          ...TaskTemplate,
          ContainerSpec: { ...TaskTemplate.ContainerSpec, Image: pinned('me/blog:v2') },
          Placement: {
            ...TaskTemplate.Placement,
            Platforms: [{ Architecture: 'amd64', OS: 'linux' }],
          },
        },
      })
    },
  },
  {
    name: 'the current image is not written again, and the message is sent as usual',
    async run() {
      const { swarm, notifier, put } = createHarness()
      const image = `docker.io/library/${pinned('nginx:latest')}`
      swarm.addService('blog', { image })
      const answer = await put('blog', { image: 'nginx' })
      equal([answer.status, answer.body.image, answer.body.previous], [200, 'nginx', image])
      equal(
        swarm.calls.filter((call) => call.startsWith('update')),
        [],
      )
      equal(
        notifier.accepted().map(({ image }) => image),
        ['nginx'],
      )
    },
  },
  {
    name: 'with resolveImage never, another tag, or the same without its digest, is written as it was sent',
    async run() {
      const { swarm, put } = createHarness({ resolveImage: 'never' })
      swarm.addService('blog', { image: `me/blog:v1@sha256:${'a'.repeat(64)}` })
      equal((await put('blog', { image: 'me/blog:v1' })).status, 200)
      equal(imageOf(swarm, 'blog'), 'me/blog:v1')
      equal((await put('blog', { image: 'docker.io/me/blog:v2' })).status, 200)
      equal(imageOf(swarm, 'blog'), 'docker.io/me/blog:v2')
    },
  },
  {
    name: 'a service that changes during the update is read again, and the concurrent change is kept',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      let changes = 0
      swarm.beforeUpdate = () => {
        changes += 1
        if (changes <= 3) {
          swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, n: `${changes}` } }))
        }
      }
      equal((await put('blog', { image: 'me/app:v2' })).status, 200)
      equal([swarm.spec('blog').Labels?.n, imageOf(swarm, 'blog')], ['3', pinned('me/app:v2')])
    },
  },
  {
    name: 'an update whose response was lost is no failure when the service has the image',
    async run() {
      const { swarm, notifier, put } = createHarness()
      const { ID } = swarm.addService('blog')
      swarm.afterUpdate = () => {
        throw new DeployerError('no-quorum', 'Cannot update: node lost leader status')
      }
      equal((await put('blog', { image: 'me/app:v2' })).status, 200)
      equal(swarm.calls.slice(-2), ['update blog', `inspect ${ID}`])
      equal(swarm.calls.filter((call) => call === 'update blog').length, 1)
      equal(notifier.accepted().length, 1)
    },
  },
  {
    name: 'an update that failed is a failure when the service has another image, or cannot be read',
    async run() {
      for (const isSeen of [true, false]) {
        const { swarm, notifier, put } = createHarness()
        swarm.addService('blog')
        swarm.beforeUpdate = () => {
          const fault = new DeployerError('no-quorum', 'Cannot update')
          swarm.failure = isSeen ? undefined : fault
          swarm.change('blog', (spec) => ({ ...spec, Labels: { ...spec.Labels, n: '1' } }))
          throw fault
        }
        equal((await put('blog', { image: 'me/app:v2' })).body.code, 'no-quorum')
        equal(notifier.accepted(), [])
      }
    },
  },
  {
    name: 'an update that failed is a failure when another Deployer replaced the same version',
    async run() {
      const { swarm, put } = createHarness()
      const other = createHarness({ swarm })
      swarm.addService('blog')
      swarm.onUpdate = 'none'
      let ms = Date.now()
      swarm.clock = () => {
        ms += 1
        return ms
      }
      const { updateService } = swarm
      swarm.updateService = async () => {
        swarm.updateService = updateService
        await other.put('blog', { image: 'me/app:v3' })
        throw new DeployerError('no-quorum', 'Cannot update')
      }
      equal((await put('blog', { image: 'me/app:v2' })).body.code, 'no-quorum')
      equal(imageOf(swarm, 'blog'), pinned('me/app:v3'))
    },
  },
  {
    name: 'a notifier that throws, rejects or never resolves does not change the response',
    async run() {
      const notifiers = [
        () => {
          throw new Error('thrown')
        },
        () => Promise.reject(new Error('rejected')),
        () => new Promise<void>(() => {}),
      ]
      for (const notifier of notifiers) {
        const { swarm, logger, put } = createHarness({ notifier })
        swarm.addService('blog')
        equal((await put('blog')).status, 200)
        await Promise.resolve()
        const faults = logger.lines.filter(({ level }) => level === 'error')
        equal(
          faults.map(({ message }) => message),
          notifier === notifiers[2] ? [] : ['message not delivered'],
        )
      }
    },
  },
  {
    name: 'on a runtime with an execution context, the message is passed to waitUntil',
    async run() {
      const { app, swarm } = createHarness({ notifier: () => Promise.resolve() })
      swarm.addService('blog')
      const waitedFor: Promise<unknown>[] = []
      const context = {
        waitUntil: (work: Promise<unknown>) => void waitedFor.push(work),
        passThroughOnException() {},
        props: {},
      }
      const init = { method: 'PUT', body: '{"image":"a:2"}', headers: { Authorization: TOKEN } }
      const request = new Request('http://deployer/service/blog', init)
      equal((await app.fetch(request, {}, context)).status, 200)
      equal(waitedFor.length > 0, true)
    },
  },
  {
    name: 'an accepted deployment is one log line without the token',
    async run() {
      const { swarm, logger, put } = createHarness()
      const { ID } = swarm.addService('blog')
      const { body } = await put('blog')
      equal(
        logger.lines.map(({ durationMs, ...line }) => ({ ...line, took: typeof durationMs })),
        [
          {
            level: 'info',
            message: 'deployment accepted',
            service: 'blog',
            serviceId: ID,
            image: 'me/app:v2',
            resolved: pinned('me/app:v2'),
            previous: 'me/app:v1',
            deploymentId: body.deploymentId,
            took: 'number',
          },
        ],
      )
    },
  },
  {
    name: 'it deploys without notifier and logger too',
    async run() {
      const { createDeployer } = await import('../../src/deployer.ts')
      const { swarm } = createHarness()
      swarm.addService('blog')
      const app = createDeployer({ token: TOKEN, swarm })
      const init = { method: 'PUT', body: '{"image":"a:2"}', headers: { Authorization: TOKEN } }
      equal((await read(await app.request('/service/blog', init))).status, 200)
    },
  },
]
