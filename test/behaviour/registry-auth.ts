// Behaviour of the option `registryAuth`: a function of the embedder that may take time, and may fail.

import type { DeployerOptions } from '../../src/deployer-options.ts'
import { DeployerError } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, countCalls, createHarness } from './harness.ts'

const SECRET = 'hunter2'
type RegistryAuth = NonNullable<DeployerOptions['registryAuth']>

const FAILURES: readonly (readonly [string, RegistryAuth])[] = [
  [
    'throws',
    () => {
      throw new Error(`No token for ${SECRET}`)
    },
  ],
  ['rejects', () => Promise.reject(new Error(`No token for ${SECRET}`))],
  ['rejects with a text', () => Promise.reject(`No token for ${SECRET}`)],
  [
    'rejects with an error of a request',
    () => Promise.reject(new DeployerError('invalid-token', `No token for ${SECRET}`)),
  ],
  ['returns no string', (() => ({ password: SECRET })) as unknown as RegistryAuth],
]

export const registryAuth: readonly Case[] = [
  {
    name: 'registryAuth may return a promise, and is called for each deployment',
    async run() {
      let calls = 0
      const { swarm, put } = createHarness({
        async registryAuth(domain) {
          await new Promise((resolve) => setTimeout(resolve, 1))
          calls += 1
          return domain === 'ecr.example' ? `token ${calls}` : undefined
        },
      })
      swarm.addService('blog')
      for (const image of ['ecr.example/app:v2', 'ecr.example/app:v3']) {
        equal((await put('blog', { image, query: '?wait=50' })).body.verdict, 'converged')
      }
      equal(
        [...new Set(swarm.credentials.map((one) => `${one.call} ${one.registryAuth}`))],
        [
          'resolve ecr.example/app:v2 token 1',
          'update blog token 1',
          'resolve ecr.example/app:v3 token 2',
          'update blog token 2',
        ],
      )
    },
  },
  ...FAILURES.map(([how, store]) => ({
    name: `a registryAuth that ${how} is 500 without its message, is logged, and nothing is deployed`,
    async run() {
      const { swarm, put, logger, notifier } = createHarness({ registryAuth: store })
      swarm.addService('blog')
      const { status, body, headers } = await put('blog', { image: 'ecr.example/app:v2' })
      equal([status, body.code], [500, 'internal-error'])
      equal(String(body.detail).includes('the registry ecr.example'), true)
      equal(JSON.stringify([body, [...headers], notifier.events]).includes(SECRET), false)
      equal([countCalls(swarm, 'resolve'), countCalls(swarm, 'update')], [0, 0])
      equal(notifier.events, [])
      const [line] = logger.lines
      equal([logger.lines.length, line?.level, line?.code], [1, 'error', 'internal-error'])
      const cause = how === 'returns no string' ? 'not a string' : `No token for ${SECRET}`
      equal(String(line?.cause).includes(cause), true)
    },
  })),
  {
    name: 'a DeployerError of registryAuth that is no fault of the request is passed on',
    async run() {
      const { swarm, put, logger } = createHarness({
        async registryAuth() {
          throw new DeployerError('registry-unavailable', 'Cannot reach ECR', {
            retryAfterSeconds: 3,
          })
        },
      })
      swarm.addService('blog')
      const { status, body, headers } = await put('blog')
      equal([status, body.code, body.detail], [503, 'registry-unavailable', 'Cannot reach ECR'])
      equal([headers.get('Retry-After'), logger.lines.length], ['3', 1])
    },
  },
]
