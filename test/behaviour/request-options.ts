// Behaviour of the members of a request besides the image, expect and force, and of dry runs.

import { DeployerError } from '../../src/errors.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'
import { equal } from '../support/assert-json-equal.ts'
import { digestOf } from '../support/fake-registry.ts'
import { type Case, countCalls, createHarness, imageOf, pinned } from './harness.ts'

const V1 = pinned('me/app:v1')

const EXPECTATIONS: readonly (readonly [running: string, expect: string, isMet: boolean])[] = [
  ['me/app:v1', 'me/app:v1', true],
  [V1, 'me/app:v1', true],
  [V1, 'docker.io/me/app:v1', true],
  [V1, V1, true],
  [V1, `me/app@${digestOf('me/app:v1')}`, true],
  ['me/app:v1', V1, false],
  [V1, pinned('me/app:v2'), false],
  [V1, 'me/app:v2', false],
  [V1, 'me/app', false],
  [V1, 'other/app:v1', false],
  [V1, 'ghcr.io/me/app:v1', false],
  ['nginx', 'docker.io/library/nginx:latest', true],
  ['docker.io/library/nginx:latest', 'nginx', true],
]

function short(image: string): string {
  return image.replace(/@sha256:(.{6}).*/, '@$1…')
}

function put(image: string, more: object): { body: string } {
  return { body: JSON.stringify({ image, ...more }) }
}

function forced(ForceUpdate: number | bigint): Readonly<Record<string, unknown>> {
  return { TaskTemplate: { ContainerSpec: { Image: V1 }, ForceUpdate } }
}

function counterOf({ TaskTemplate: { ForceUpdate } }: ServiceSpec): string {
  return `${typeof ForceUpdate} ${ForceUpdate}`
}

export const requestOptions: readonly Case[] = [
  ...EXPECTATIONS.map(([running, expect, isMet]) => ({
    name: `${short(running)} ${isMet ? 'meets' : 'does not meet'} the expectation ${short(expect)}`,
    async run() {
      const { swarm, put: send, notifier } = createHarness()
      swarm.addService('blog', { image: running })
      const { status, body } = await send('blog', put('me/app:v9', { expect }))
      equal([status, body.code], isMet ? [200, undefined] : [409, 'image-mismatch'])
      if (!isMet) {
        equal([body.service, body.expected, body.running], ['blog', expect, running])
        equal(
          [swarm.spec('blog').TaskTemplate.ContainerSpec, notifier.accepted()],
          [{ Image: running }, []],
        )
        equal([countCalls(swarm, 'resolve'), countCalls(swarm, 'update')], [0, 0])
      }
    },
  })),
  {
    name: 'an expectation is checked at the write, not only before',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog')
      swarm.beforeUpdate = () => {
        swarm.beforeUpdate = () => {}
        swarm.change('blog', ({ TaskTemplate, ...spec }) => ({
          ...spec,
          TaskTemplate: { ...TaskTemplate, ContainerSpec: { Image: 'me/app:v8' } },
        }))
      }
      const { body } = await send('blog', put('me/app:v9', { expect: 'me/app:v1' }))
      equal(
        [body.code, body.running, imageOf(swarm, 'blog')],
        ['image-mismatch', 'me/app:v8', 'me/app:v8'],
      )
    },
  },
  {
    name: 'an expectation or a force of the wrong type is 400, and so is an invalid reference',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog')
      const wrong: readonly (readonly [object, string])[] = [
        [{ expect: 1 }, 'malformed-request'],
        [{ expect: 'Not An Image' }, 'invalid-image-reference'],
        [{ force: 'true' }, 'malformed-request'],
        [{ force: 1 }, 'malformed-request'],
      ]
      for (const [more, code] of wrong) {
        const { status, body } = await send('blog', put('me/app:v2', more))
        equal([more, status, body.code], [more, 400, code])
      }
      equal((await send('blog', { body: '{"force":false}' })).body.code, 'malformed-request')
      equal(swarm.calls, [])
    },
  },
  {
    name: 'force without an image replaces the tasks of the current image, and resolves nothing',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog', { image: V1 })
      const init = { body: '{"force":true}', query: '?wait=50' }
      const { status, body } = await send('blog', init)
      equal([status, body.verdict, body.image, body.resolved], [200, 'converged', V1, V1])
      equal([imageOf(swarm, 'blog'), countCalls(swarm, 'resolve')], [V1, 0])
      equal(swarm.spec('blog').TaskTemplate.ForceUpdate, 1)
      await send('blog', init)
      equal(swarm.spec('blog').TaskTemplate.ForceUpdate, 2)
    },
  },
  {
    name: 'force with the current image replaces its tasks, and with another one it deploys that one',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog', { image: V1 })
      for (const [image, count] of [
        ['me/app:v1', 1],
        ['me/app:v2', 2],
      ] as const) {
        const init = { ...put(image, { force: true }), query: '?wait=50' }
        const { body } = await send('blog', init)
        equal([body.verdict, imageOf(swarm, 'blog')], ['converged', pinned(image)])
        equal(swarm.spec('blog').TaskTemplate.ForceUpdate, count)
      }
    },
  },
  {
    name: 'a ForceUpdate of 17 digits is sent back exactly',
    async run() {
      const { swarm, put: send, get } = createHarness()
      swarm.addService('blog', { image: V1, spec: forced(17326312345678901n) })
      const { status, body, headers } = await send('blog', { query: '?wait=50' })
      equal([status, body.verdict], [200, 'converged'])
      equal(counterOf(swarm.spec('blog')), 'bigint 17326312345678901')
      equal((await get(headers.get('Location') ?? '')).body.verdict, 'converged')
      const again = await send('blog', { query: '?wait=50' })
      equal([again.status, again.body.verdict], [200, 'unchanged'])
    },
  },
  {
    name: 'force with a ForceUpdate of 17 digits adds one to it, and waits for the tasks of the new value',
    async run() {
      const { swarm, begin, get } = createHarness()
      swarm.addService('blog', { image: V1, spec: forced(17326312345678901n) })
      const { answer, rollout } = await begin('blog', { body: '{"force":true}', query: '?wait=50' })
      equal(counterOf(swarm.spec('blog')), 'bigint 17326312345678902')
      // The tasks of …901 run, and they are other ones.
      rollout.fail()
      rollout.pause()
      const { status, body, headers } = await answer
      equal([status, body.verdict], [424, 'paused'])
      equal((body.tasks as unknown[]).length, 1)
      const elsewhere = createHarness({ swarm })
      const later = await elsewhere.get(headers.get('Location') ?? '')
      equal([later.status, later.body.verdict], [424, 'paused'])
      equal((await get(headers.get('Location') ?? '')).body.verdict, 'paused')
    },
  },
  {
    name: 'a ForceUpdate grows beyond the exact numbers of JavaScript, and from the last one of 64 bits to 0',
    async run() {
      const { swarm, put: send } = createHarness()
      const steps = [
        [Number.MAX_SAFE_INTEGER - 1, `number ${Number.MAX_SAFE_INTEGER}`],
        [Number.MAX_SAFE_INTEGER, 'bigint 9007199254740992'],
        [2n ** 64n - 1n, 'number 0'],
      ] as const
      for (const [index, [before, after]] of steps.entries()) {
        swarm.addService(`blog${index}`, { image: V1, spec: forced(before) })
        const init = { body: '{"force":true}', query: '?wait=50' }
        const { body } = await send(`blog${index}`, init)
        equal([body.verdict, counterOf(swarm.spec(`blog${index}`))], ['converged', after])
      }
    },
  },
  {
    name: 'a forced restart is judged by its own tasks, not by earlier ones',
    async run() {
      const { swarm, begin } = createHarness()
      swarm.addService('blog', { image: V1 })
      const { answer, rollout } = await begin('blog', { body: '{"force":true}', query: '?wait=50' })
      rollout.rollBack()
      const { status, body } = await answer
      equal([status, body.verdict], [424, 'rolled-back'])
      equal((body.tasks as readonly unknown[]).length, 1)
    },
  },
  {
    name: 'a dry run reports what would change, and changes nothing',
    async run() {
      const { swarm, put: send, notifier, logger } = createHarness()
      const { ID } = swarm.addService('blog')
      const before = swarm.service('blog')
      const { status, headers, body } = await send('blog', { query: '?dryRun=true&wait=50' })
      equal(status, 200)
      equal(body, {
        dryRun: true,
        service: 'blog',
        serviceId: ID,
        image: 'me/app:v2',
        from: 'me/app:v1',
        to: pinned('me/app:v2'),
        digest: digestOf('me/app:v2'),
        platforms: [{ Architecture: 'amd64', OS: 'linux' }],
        wouldUpdate: true,
      })
      equal([swarm.service('blog'), notifier.accepted()], [before, []])
      equal([countCalls(swarm, 'update'), headers.get('Location')], [0, null])
      equal(
        logger.lines.map(({ level, message, dryRun }) => [level, message, dryRun]),
        [['info', 'deployment tried', true]],
      )
    },
  },
  {
    name: 'a dry run reports why nothing would change, warnings, and each rejection with its own status',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog', { image: pinned('me/app:v2') })
      const query = '?dryRun=true'
      const same = await send('blog', { query })
      equal([same.body.wouldUpdate, typeof same.body.reason], [false, 'string'])
      const other = await send('blog', { image: 'ghcr.io/me/app', query })
      equal([other.body.wouldUpdate, (other.body.warnings as unknown[]).length], [true, 1])
      const mismatch = await send('blog', { ...put('me/app:v3', { expect: 'me/app:v1' }), query })
      equal([mismatch.status, mismatch.body.code], [409, 'image-mismatch'])
      swarm.setImage('me/app:v4', new DeployerError('image-not-found', 'Cannot find it'))
      equal((await send('blog', { image: 'me/app:v4', query })).body.code, 'image-not-found')
      swarm.setImage('me/app:v5', { platforms: [{ Architecture: 's390x', OS: 'linux' }] })
      equal((await send('blog', { image: 'me/app:v5', query })).body.code, 'no-suitable-node')
      equal((await send('nosuch', { query })).status, 404)
      equal(countCalls(swarm, 'update'), 0)
    },
  },
  {
    name: 'a name in another spelling, in the wrong place, or sent twice is 400, and nothing is deployed',
    async run() {
      const { swarm, put: send, get } = createHarness()
      swarm.addService('blog')
      const queries = [
        ...['?dryrun=true', '?dry-run=true', '?dry_run=true', '?dry%52%75n=true&DRYRUN=true'],
        ...['?dryRun=true&dryRun=false', '?wait=5&wait=50', '?Wait=50', '?force=true', '?image=a'],
      ]
      const bodies = [
        ...[{ dryRun: true }, { dry_run: true }, { wait: 50 }, { Force: true }, { Expect: 'a' }],
        ...[{ Image: 'me/app:v3' }, { 'meta-data': {} }],
      ]
      for (const query of queries) {
        const { status, body } = await send('blog', { query })
        equal([query, status, body.code], [query, 400, 'malformed-request'])
      }
      for (const more of bodies) {
        const { status, body } = await send('blog', put('me/app:v2', more))
        equal([more, status, body.code], [more, 400, 'malformed-request'])
      }
      equal((await get('/deployments/x?Wait=50')).body.code, 'malformed-request')
      equal(swarm.calls, [])
    },
  },
  {
    name: 'other names are ignored, null counts as absent, and image may have any case, as in Go',
    async run() {
      const bodies = [
        { Image: 'me/app:v2' },
        { IMAGE: 'me/app:v2', tag: 'v3', dry: true },
        { image: 'me/app:v2', expect: null, force: null, metadata: null },
      ]
      for (const body of bodies) {
        const { swarm, put: send } = createHarness()
        swarm.addService('blog')
        const init = { body: JSON.stringify(body), query: '?x=1&x=2&dry=true' }
        equal([body, (await send('blog', init)).status], [body, 200])
        equal(imageOf(swarm, 'blog'), pinned('me/app:v2'))
      }
    },
  },
  {
    name: 'dryRun=false deploys, and any value except true and false is 400',
    async run() {
      const { swarm, put: send } = createHarness()
      swarm.addService('blog')
      for (const text of ['1', 'TRUE', '', 'yes']) {
        const { status, body } = await send('blog', { query: `?dryRun=${text}` })
        equal([text, status, body.code], [text, 400, 'malformed-request'])
      }
      equal(swarm.calls, [])
      equal((await send('blog', { query: '?dryRun=false' })).body.verdict, 'accepted')
    },
  },
]
