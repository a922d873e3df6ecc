// Behaviour of image resolution: the digest that is written, platforms, credentials, rejections.

import { DeployerError, type ProblemCode } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { fakeNode } from '../support/fake-placement.ts'
import {
  type Case,
  countCalls,
  createHarness,
  type HarnessOptions,
  imageOf,
  pinned,
} from './harness.ts'

const DIGEST = `sha256:${'e'.repeat(64)}`
const AUTH = btoa('{"username":"me","password":"hunter2"}').replaceAll('=', '')

const FORMS: readonly (readonly [image: string, written: string])[] = [
  ['nginx', `nginx:latest@${DIGEST}`],
  ['nginx:1.27', `nginx:1.27@${DIGEST}`],
  ['docker.io/library/nginx', `nginx:latest@${DIGEST}`],
  ['me/app:v2', `me/app:v2@${DIGEST}`],
  ['index.docker.io/me/app:v2', `me/app:v2@${DIGEST}`],
  ['registry.example:5000/me/app', `registry.example:5000/me/app:latest@${DIGEST}`],
  [`me/app@${DIGEST}`, `me/app@${DIGEST}`],
  [`me/app:v2@${DIGEST}`, `me/app:v2@${DIGEST}`],
]

const REFUSALS = [
  ['image-not-found', 422],
  ['image-not-readable', 422],
  ['registry-unavailable', 503],
] as const

const PRIVATE = 'private.example/me/app:v2'

interface Other {
  readonly image?: string
  readonly code?: ProblemCode
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: HarnessOptions
}

function refusal(code: ProblemCode): DeployerError {
  return new DeployerError(code, `Cannot resolve the image: ${code}`)
}

export const resolution: readonly Case[] = [
  ...FORMS.map(([image, written]) => ({
    name: `${image} is written as ${written.replace(DIGEST, 'sha256:…')}`,
    async run() {
      const { swarm, put } = createHarness()
      swarm.setImage(image, { digest: DIGEST })
      swarm.addService('blog')
      const { body } = await put('blog', { image })
      equal([body.image, body.resolved, imageOf(swarm, 'blog')], [image, written, written])
    },
  })),
  {
    name: 'a tag that was pushed again is deployed again',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      const query = '?wait=50'
      const first = await put('blog', { image: 'me/app', query })
      swarm.setImage('me/app', { digest: DIGEST })
      const second = await put('blog', { image: 'me/app', query })
      equal([first.body.verdict, second.body.verdict], ['converged', 'converged'])
      equal([imageOf(swarm, 'blog'), countCalls(swarm, 'update')], [`me/app:latest@${DIGEST}`, 2])
      equal((await put('blog', { image: 'me/app', query })).body.verdict, 'unchanged')
    },
  },
  ...REFUSALS.map(([code, status]) => ({
    name: `${code} is ${status}, nothing is written and no event is published`,
    async run() {
      for (const resolveImage of ['auto', 'require'] as const) {
        const { swarm, put, notifier } = createHarness({ resolveImage })
        swarm.addService('blog', { image: 'other/app:v1' })
        swarm.setImage('me/app:v2', refusal(code))
        const before = swarm.service('blog')
        const { status: came, body } = await put('blog', { query: '?wait=50' })
        equal([came, body.code], [status, code])
        equal([swarm.service('blog'), notifier.accepted()], [before, []])
        equal(countCalls(swarm, 'update'), 0)
      }
    },
  })),
  {
    name: 'the repository of the service, where only the swarm has credentials, is not pinned: a warning',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { image: pinned('private.example/me/app:v1') })
      swarm.setImage('private.example/me/app:v2', refusal('image-not-readable'))
      const { status, body } = await put('blog', { image: 'private.example/me/app:v2' })
      equal([status, body.resolved], [200, 'private.example/me/app:v2'])
      const [warning, ...more] = body.warnings as readonly string[]
      equal([warning?.includes('not pinned'), more], [true, []])
      equal(imageOf(swarm, 'blog'), 'private.example/me/app:v2')
      equal(
        swarm.credentials.map(({ registryAuth }) => registryAuth),
        [undefined, undefined],
      )
    },
  },
  {
    name: 'that exception does not hold for another repository, another error, given credentials, or resolveImage require',
    async run() {
      const others: readonly Other[] = [
        { image: 'private.example/me/other:v2' },
        { code: 'image-not-found' },
        { code: 'registry-unavailable' },
        { headers: { 'X-Registry-Auth': AUTH } },
        { options: { registryAuth: () => AUTH } },
        { options: { resolveImage: 'require' } },
      ]
      for (const { image = PRIVATE, code = 'image-not-readable', ...other } of others) {
        const { headers = {}, options = {} } = other
        const { swarm, put } = createHarness(options)
        swarm.addService('blog', { image: 'private.example/me/app:v1' })
        swarm.setImage(image, refusal(code))
        const { body } = await put('blog', { image, headers })
        equal([image, body.code, countCalls(swarm, 'update')], [image, code, 0])
      }
    },
  },
  {
    name: 'with resolveImage never, no registry is called, and platforms are kept',
    async run() {
      const { swarm, put } = createHarness({ resolveImage: 'never' })
      swarm.addService('blog')
      const { TaskTemplate } = swarm.spec('blog')
      equal((await put('blog', { query: '?wait=50' })).body.verdict, 'converged')
      equal(countCalls(swarm, 'resolve'), 0)
      equal(swarm.spec('blog').TaskTemplate, {
        ...TaskTemplate,
        ContainerSpec: { Image: 'me/app:v2' },
      })
    },
  },
  {
    name: 'an image without a digest is unchanged with a warning: the registry may have a newer one',
    async run() {
      const { swarm, put } = createHarness({ resolveImage: 'never' })
      swarm.addService('blog')
      await put('blog', { query: '?wait=50' })
      const { status, body } = await put('blog')
      equal([status, body.verdict, countCalls(swarm, 'update')], [200, 'unchanged', 1])
      const [warning] = Array.isArray(body.warnings) ? body.warnings : []
      equal(String(warning).startsWith('me/app:v2 is not pinned to a digest'), true)
    },
  },
  {
    name: 'the credentials of the caller are sent to the registry and to the nodes, and precede others',
    async run() {
      const { swarm, logger, put } = createHarness({ registryAuth: () => 'other' })
      swarm.addService('blog')
      const { headers, body } = await put('blog', { headers: { 'X-Registry-Auth': AUTH } })
      equal(swarm.credentials, [
        { call: 'resolve docker.io/me/app:v2', registryAuth: AUTH },
        { call: 'update blog', registryAuth: AUTH },
      ])
      const output = JSON.stringify([[...headers], body, logger.lines, swarm.spec('blog')])
      equal([output.includes(AUTH), output.includes('hunter2')], [false, false])
    },
  },
  {
    name: 'without credentials of the caller, those for the registry of the image are used, by its domain',
    async run() {
      const domains: string[] = []
      const registryAuth = (domain: string): string | undefined => {
        domains.push(domain)
        return domain === 'docker.io' ? undefined : `for ${domain}`
      }
      const { swarm, put } = createHarness({ registryAuth })
      swarm.addService('blog')
      await put('blog', { image: 'me/app:v2' })
      await put('blog', { image: 'localhost:5000/app:v3' })
      equal(domains, ['docker.io', 'localhost:5000'])
      equal(
        swarm.credentials.map((shown) => shown.registryAuth),
        [undefined, undefined, 'for localhost:5000', 'for localhost:5000'],
      )
    },
  },
  {
    name: 'an X-Registry-Auth that is no base64url of an object is 400, and the response does not contain it',
    async run() {
      const { swarm, logger, put } = createHarness()
      swarm.addService('blog')
      const wrong = [
        'hunter2!',
        'hunter2',
        btoa('hunter2'),
        btoa('["hunter2"]'),
        btoa('null'),
        '{}',
      ]
      for (const header of wrong) {
        const { status, body } = await put('blog', { headers: { 'X-Registry-Auth': header } })
        equal([header, status, body.code], [header, 400, 'malformed-request'])
        const output = JSON.stringify([body, logger.lines])
        equal([output.includes(`"${header}`), output.includes('hunter2')], [false, false])
      }
      equal(swarm.calls, [])
      equal((await put('blog', { headers: { 'X-Registry-Auth': '' } })).status, 200)
      const padded = btoa('{"username":"m"}')
      equal(padded.endsWith('='), true)
      equal((await put('blog', { headers: { 'X-Registry-Auth': padded } })).status, 200)
    },
  },
  {
    name: 'another registry without credentials is a warning, with credentials it is not',
    async run() {
      for (const [headers, count] of [
        [{}, 1],
        [{ 'X-Registry-Auth': AUTH }, 0],
      ] as const) {
        const { swarm, put } = createHarness()
        swarm.addService('blog')
        const image = 'other.example/me/app:v2'
        const { status, body } = await put('blog', { image, headers, query: '?wait=50' })
        const warnings = (body.warnings ?? []) as readonly string[]
        equal([status, warnings.length], [200, count])
        equal(
          warnings.filter((text) => !/other\.example.*docker\.io/.test(text)),
          [],
        )
      }
    },
  },
  {
    name: 'an X-Registry-Auth that contains only auth is 400: no engine reads that',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      for (const json of [
        '{"auth":"aHVudGVyMg=="}',
        '{"auth":"aHVudGVyMg==","username":"","password":""}',
      ]) {
        const headers = { 'X-Registry-Auth': btoa(json) }
        const { status, body } = await put('blog', { headers })
        equal([status, body.code, swarm.calls], [400, 'malformed-request', []])
        equal(String(body.detail).includes('send {"username"'), true)
      }
      const whole = btoa('{"auth":"x","username":"me","password":"p"}')
      equal((await put('blog', { headers: { 'X-Registry-Auth': whole } })).status, 200)
    },
  },
  {
    name: 'a registry that lists thousands of platforms causes no long response, log line or spec',
    async run() {
      const names = Array.from({ length: 20_000 }, (_, i) => `arch${i}-${'x'.repeat(90)}`)
      const long = [{ Architecture: 'x'.repeat(1_000_000), OS: 'linux' }]
      const many = names.map((Architecture) => ({ Architecture, OS: 'linux' }))
      const some = many.slice(0, 100)
      for (const [platforms, code] of [
        [many, 'image-not-readable'],
        [long, 'image-not-readable'],
        [some, 'no-suitable-node'],
      ] as const) {
        const { swarm, logger, put } = createHarness()
        swarm.addService('blog')
        swarm.setImage('me/app:v2', { platforms })
        const { status, body } = await put('blog')
        equal([status, body.code, countCalls(swarm, 'update')], [422, code, 0])
        equal(JSON.stringify([body, logger.lines]).length < 6000, true)
      }
    },
  },
  {
    name: 'stored credentials are cleared when the registry changes and there are none for the new one',
    async run() {
      const empty = btoa('{}')
      for (const [from, to, sent] of [
        ['me/app:v1', 'other.example/me/app:v2', empty],
        ['one.example/me/app:v1', 'me/app:v2', empty],
        ['one.example/me/app:v1', 'one.example:5000/me/app:v2', empty],
        ['one.example/me/app:v1', 'ONE.example/me/other:v2', undefined],
        ['a'.repeat(64), 'me/app:v2', empty],
        ['me/app:v1', 'index.docker.io/me/app:v2', undefined],
        ['me/app:v1', 'registry-1.docker.io/me/app:v2', undefined],
        ['nginx', 'me/app:v2', undefined],
      ] as const) {
        for (const resolveImage of ['auto', 'never'] as const) {
          const { swarm, put } = createHarness({ resolveImage })
          swarm.addService('blog', { image: from })
          const dryRun = await put('blog', { image: to, query: '?dryRun=true' })
          const { body } = await put('blog', { image: to })
          const update = swarm.credentials.find(({ call }) => call === 'update blog')
          equal([from, to, update?.registryAuth], [from, to, sent])
          const warnings = (body.warnings ?? []) as readonly string[]
          const isWarned = warnings.some((text) => text.includes('were cleared'))
          equal([from, to, isWarned], [from, to, sent === empty])
          equal(dryRun.body.warnings, body.warnings)
        }
      }
    },
  },
  {
    name: 'force with the current image keeps the stored credentials, for any spelling of the image',
    async run() {
      for (const image of ['me/app:v1', `sha256:${'a'.repeat(64)}`]) {
        const { swarm, put } = createHarness()
        swarm.addService('blog', { image })
        const { status, body } = await put('blog', { body: '{"force":true}' })
        equal([image, status, body.warnings], [image, 200, undefined])
        equal(
          swarm.credentials.map(({ call, registryAuth }) => [call, registryAuth]),
          [['update blog', undefined]],
        )
      }
    },
  },
  {
    name: 'foreignRegistry keep keeps the stored credentials, with a warning',
    async run() {
      const { swarm, put } = createHarness({ foreignRegistry: 'keep' })
      swarm.addService('blog')
      const { body } = await put('blog', { image: 'other.example/me/app:v2' })
      equal(
        swarm.credentials.map(({ registryAuth }) => registryAuth),
        [undefined, undefined],
      )
      const [warning, ...more] = (body.warnings ?? []) as readonly string[]
      equal([warning?.includes('has stored'), more], [true, []])
    },
  },
  {
    name: 'the service at the time of the write decides about its credentials, not an earlier state',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { image: 'other.example/me/app:v1' })
      swarm.beforeUpdate = () => {
        swarm.beforeUpdate = () => {}
        swarm.change('blog', (spec) => ({
          ...spec,
          TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: 'me/app:v1' } },
        }))
      }
      const { status, body } = await put('blog', { image: 'other.example/me/app:v2' })
      equal(
        swarm.credentials.map(({ call, registryAuth }) => [call, registryAuth]),
        [
          ['resolve other.example/me/app:v2', undefined],
          ['update blog', undefined],
          ['update blog', btoa('{}')],
        ],
      )
      equal([status, JSON.stringify(body.warnings ?? []).includes('were cleared')], [200, true])
    },
  },
  {
    name: 'platforms: no unknown ones, no duplicates, and no architecture for arm',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.setImage('me/app:v2', {
        platforms: [
          { Architecture: 'amd64', OS: 'linux' },
          { Architecture: 'unknown', OS: 'unknown' },
          { Architecture: 'arm', OS: 'linux' },
          { Architecture: 'ARM', OS: 'linux' },
          { Architecture: 'amd64', OS: 'linux' },
        ],
      })
      equal((await put('blog')).status, 200)
      equal(swarm.spec('blog').TaskTemplate.Placement, {
        Platforms: [{ Architecture: 'amd64', OS: 'linux' }, { OS: 'linux' }],
      })
    },
  },
  {
    name: 'an image without platforms keeps those of the service',
    async run() {
      const { swarm, put } = createHarness()
      const Placement = { Platforms: [{ Architecture: 'amd64', OS: 'linux' }], MaxReplicas: 1 }
      const TaskTemplate = { ContainerSpec: { Image: 'me/app:v1' }, Placement }
      swarm.addService('blog', { spec: { TaskTemplate } })
      swarm.setImage('me/app:v2', { platforms: [] })
      equal((await put('blog')).status, 200)
      equal(swarm.spec('blog').TaskTemplate.Placement, Placement)
      equal(countCalls(swarm, 'nodes'), 0)
    },
  },
  {
    name: 'an image that no node can run is 422 no-suitable-node, which names both, and nothing is written',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      swarm.setImage('me/app:v2', { platforms: [{ Architecture: 'arm64', OS: 'linux' }] })
      const { status, body } = await put('blog')
      equal([status, body.code], [422, 'no-suitable-node'])
      const detail = String(body.detail)
      equal([detail.includes('linux/arm64'), detail.includes('linux/amd64')], [true, true])
      equal(countCalls(swarm, 'update'), 0)
    },
  },
  {
    name: 'the nodes are read once for many deployments, and again before one is rejected',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal((await put('blog', { image: 'me/app:v2' })).status, 200)
      equal((await put('blog', { image: 'me/app:v3' })).status, 200)
      equal(countCalls(swarm, 'nodes'), 1)
      const platform = { Architecture: 'aarch64', OS: 'linux' }
      swarm.nodes = [...swarm.nodes, fakeNode('node2', { platform })]
      swarm.setImage('me/app:v4', { platforms: [{ Architecture: 'arm64', OS: 'linux' }] })
      equal((await put('blog', { image: 'me/app:v4' })).status, 200)
      equal(countCalls(swarm, 'nodes'), 2)
    },
  },
]
