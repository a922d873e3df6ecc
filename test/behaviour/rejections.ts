// Behaviour of rejected requests: each has its code, and the swarm is not changed.

import { HTTPException } from 'hono/http-exception'
import { createDeployer } from '../../src/deployer.ts'
import { DeployerError, type ProblemCode } from '../../src/errors.ts'
import { equal } from '../support/assert-json-equal.ts'
import { type Case, createHarness, type PutOptions, read, TOKEN } from './harness.ts'

interface Rejection extends PutOptions {
  readonly name: string
  readonly code: ProblemCode
  readonly status: number
}

const LARGEST = 64 * 1024
const padded = (bytes: number): string => `{"image":"a:2"}`.padEnd(bytes, ' ')

const REJECTIONS: readonly Rejection[] = [
  { name: 'an empty body', body: '', code: 'malformed-request', status: 400 },
  { name: 'a body that is not JSON', body: 'image=a:2', code: 'malformed-request', status: 400 },
  {
    name: 'a body that is not an object',
    body: '["image"]',
    code: 'malformed-request',
    status: 400,
  },
  { name: 'null', body: 'null', code: 'malformed-request', status: 400 },
  { name: 'a missing image', body: '{}', code: 'malformed-request', status: 400 },
  { name: 'an image that is a number', image: 12, code: 'malformed-request', status: 400 },
  { name: 'an image that is null', image: null, code: 'malformed-request', status: 400 },
  { name: 'an empty image', image: '', code: 'invalid-image-reference', status: 400 },
  { name: 'an upper-case image', image: 'me/Blog', code: 'invalid-image-reference', status: 400 },
  { name: 'an image with a space', image: 'a b', code: 'invalid-image-reference', status: 400 },
  {
    name: 'an image ID',
    image: 'a'.repeat(64),
    code: 'invalid-image-reference',
    status: 400,
  },
  {
    name: 'no token',
    headers: { Authorization: '' },
    code: 'missing-token',
    status: 401,
  },
  { name: 'a wrong token', headers: { Authorization: 'nope' }, code: 'invalid-token', status: 401 },
  {
    name: 'the start of the token',
    headers: { Authorization: TOKEN.slice(0, -1) },
    code: 'invalid-token',
    status: 401,
  },
  {
    name: 'the token twice',
    headers: { Authorization: TOKEN + TOKEN },
    code: 'invalid-token',
    status: 401,
  },
  {
    name: 'the token in another scheme',
    headers: { Authorization: `Basic ${TOKEN}` },
    code: 'invalid-token',
    status: 401,
  },
  {
    name: 'a body of one byte too many',
    body: padded(LARGEST + 1),
    code: 'body-too-large',
    status: 413,
  },
]

const HOSTILE_NAMES = [
  '..%2fcontainers%2fjson',
  '%2e%2e',
  '%2e%2e%2f',
  '%00',
  '%ff',
  'blog%0a',
  'blog%0d%0aX',
  'blog%20',
  'bl%C3%B6g',
  '-blog',
  'blog-',
  '_blog',
  'my.blog',
  'blog%2Fx',
  'blog%3Fversion=1',
  'blog%23',
  'x'.repeat(64),
  '__proto__',
]

const ENGINE_FAULTS: readonly [ProblemCode, number][] = [
  ['engine-error', 502],
  ['engine-unreachable', 503],
  ['not-a-manager', 503],
  ['swarm-locked', 503],
  ['no-quorum', 503],
]

interface Labels {
  readonly labels?: Readonly<Record<string, string>>
  readonly ofContainer?: Readonly<Record<string, string>>
}

const LABEL = 'deployer.allowUpdates'
const ONLY = 'and only the value "true" allows updates'
const QUOTES =
  '(the quotation marks are part of the value; in a YAML list write the label without them)'

const LABELS: readonly (readonly [name: string, labels: Labels, text: string])[] = [
  ['that is missing', {}, 'its owner has not allowed it'],
  [
    'with the value yes',
    { labels: { [LABEL]: 'yes' } },
    `its label ${LABEL} has the value "yes", ${ONLY}`,
  ],
  [
    'with the value 1',
    { labels: { [LABEL]: '1' } },
    `its label ${LABEL} has the value "1", ${ONLY}`,
  ],
  [
    'with no value',
    { labels: { [LABEL]: '' }, ofContainer: { [LABEL]: 'true' } },
    `its label ${LABEL} has the value "", ${ONLY}`,
  ],
  [
    'with white space',
    { labels: { [LABEL]: ' true' } },
    `its label ${LABEL} has the value " true", ${ONLY}`,
  ],
  [
    'with an invisible character',
    { labels: { [LABEL]: 'true\u200b\n' } },
    `its label ${LABEL} has the value "true\\u200b\\n", ${ONLY}`,
  ],
  [
    'in single quotes',
    { labels: { [LABEL]: "'true'" } },
    `its label ${LABEL} has the value "'true'" ${QUOTES}, ${ONLY}`,
  ],
  [
    'in double quotes',
    { labels: { [LABEL]: '"true"' } },
    `its label ${LABEL} has the value "\\"true\\"" ${QUOTES}, ${ONLY}`,
  ],
  [
    'with a long value',
    { labels: { [LABEL]: 'x'.repeat(5000) } },
    `its label ${LABEL} has the value "${'x'.repeat(100)}"…, ${ONLY}`,
  ],
  [
    'of the container',
    { ofContainer: { [LABEL]: 'true' } },
    `the label ${LABEL} ("true") is on its containers, and only a label of the service with the value "true" allows updates; in a stack file it belongs under deploy.labels`,
  ],
]

export const rejections: readonly Case[] = [
  ...REJECTIONS.map(({ name, code, status, ...request }) => ({
    name: `${name} is ${status} ${code}, and the swarm is not called`,
    async run() {
      const { swarm, notifier, logger, put } = createHarness()
      swarm.addService('blog')
      const { body, headers, status: came } = await put('blog', request)
      equal([came, body.status, body.code], [status, status, code])
      equal(body.type, `urn:problem-type:deployer:${code}`)
      equal([typeof body.title, typeof body.detail], ['string', 'string'])
      equal(headers.get('Content-Type'), 'application/problem+json')
      equal([swarm.calls, notifier.accepted()], [[], []])
      equal(
        logger.lines.map(({ level, message, code }) => [level, message, code]),
        [['warn', 'deployment refused', code]],
      )
    },
  })),
  {
    name: 'the challenge follows RFC 6750: it has an error only when a token was sent',
    async run() {
      const { put } = createHarness()
      const challenge = async (Authorization: string): Promise<string | null> =>
        (await put('blog', { headers: { Authorization } })).headers.get('WWW-Authenticate')
      equal(await challenge(''), 'Bearer realm="deployer"')
      equal(await challenge('x'), 'Bearer realm="deployer", error="invalid_token"')
    },
  },
  {
    name: 'Bearer with nothing after it is missing-token, with a message about the empty token',
    async run() {
      for (const Authorization of ['Bearer', 'Bearer ', 'bearer', 'BEARER  ']) {
        const { swarm, put } = createHarness()
        const { status, headers, body } = await put('blog', { headers: { Authorization } })
        equal([Authorization, status, body.code], [Authorization, 401, 'missing-token'])
        equal(String(body.detail).includes('Empty token'), true)
        equal(headers.get('WWW-Authenticate'), 'Bearer realm="deployer"')
        equal(swarm.calls, [])
      }
    },
  },
  {
    name: 'Bearer before the token is accepted in any case, and so is a token that itself begins with Bearer',
    async run() {
      const sent: readonly [token: string, header: string, status: number][] = [
        [TOKEN, `Bearer ${TOKEN}`, 200],
        [TOKEN, `bearer ${TOKEN}`, 200],
        [TOKEN, `Bearer  ${TOKEN}`, 200],
        [TOKEN, `Bearer${TOKEN}`, 401],
        ['Bearer abc', 'Bearer abc', 200],
        ['Bearer abc', 'Bearer Bearer abc', 200],
        ['Bearer abc', 'abc', 401],
        ['Bearer abc', 'bearer abc', 401],
      ]
      for (const [token, Authorization, status] of sent) {
        const { swarm, put } = createHarness({ token })
        swarm.addService('blog')
        const answer = await put('blog', { headers: { Authorization } })
        equal([token, Authorization, answer.status], [token, Authorization, status])
      }
    },
  },
  {
    name: 'a token beyond ASCII matches the bytes that curl sends',
    async run() {
      const { swarm, put } = createHarness({ token: 'schlüssel' })
      swarm.addService('blog')
      equal((await put('blog', { headers: { Authorization: 'schl\u00c3\u00bcssel' } })).status, 200)
      equal((await put('blog', { headers: { Authorization: 'schl\u00fcssel' } })).status, 401)
    },
  },
  {
    name: 'a body of 64 KiB is accepted, also in chunks without a declared length',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal((await put('blog', { body: padded(LARGEST) })).status, 200)
      equal((await put('blog', { body: inPieces(padded(LARGEST)) })).status, 200)
      equal(
        (await put('blog', { body: inPieces(padded(LARGEST + 1)) })).body.code,
        'body-too-large',
      )
    },
  },
  {
    name: 'a service without the label, or with another value of it, is 403 with a remedy',
    async run() {
      const others = [{}, { 'deployer.allowUpdates': 'TRUE' }, { 'deployer.allowUpdates': '' }]
      for (const labels of others) {
        const { swarm, put } = createHarness()
        swarm.addService('blog', { labels })
        const { status, body } = await put('blog')
        equal([status, body.code, swarm.calls], [403, 'updates-not-allowed', ['inspect blog']])
        equal(String(body.detail).includes('--label-add deployer.allowUpdates=true blog'), true)
      }
    },
  },
  ...LABELS.map(([name, { labels = {}, ofContainer }, text]) => ({
    name: `the label ${name} is 403, and PUT and GET describe the mistake`,
    async run() {
      const { swarm, put, get } = createHarness()
      const ContainerSpec = { Image: 'a:1', Labels: ofContainer }
      swarm.addService('blog', { labels, spec: { TaskTemplate: { ContainerSpec } } })
      const { status, body } = await put('blog')
      equal([status, body.code], [403, 'updates-not-allowed'])
      const end = '; run: docker service update --label-add deployer.allowUpdates=true blog'
      equal(body.detail, `Cannot update service "blog": ${text}${end}`)
      const { reason } = (await get('/service/blog')).body
      equal(reason, `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${end}`)
    },
  })),
  {
    name: 'a service that runs no container is 422 unsupported-service',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('plugin', { spec: { TaskTemplate: { PluginSpec: {}, Runtime: 'plugin' } } })
      const { status, body } = await put('plugin')
      equal([status, body.code, swarm.calls], [422, 'unsupported-service', ['inspect plugin']])
    },
  },
  {
    name: 'an unknown service, or part of a name or ID, is 404 service-not-found',
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog', { id: 'abcdefghijklmnopqrstuvwxy' })
      for (const name of ['nosuch', 'blo', 'BLOG', 'abcdefghijkl', 'a']) {
        const { status, body } = await put(name)
        equal([name, status, body.code], [name, 404, 'service-not-found'])
      }
      equal(
        swarm.calls.filter((call) => call.startsWith('update')),
        [],
      )
    },
  },
  ...HOSTILE_NAMES.map((name) => ({
    name: `the name ${name} is 404 and never reaches the engine`,
    async run() {
      const { swarm, put } = createHarness()
      swarm.addService('blog')
      equal([(await put(name)).status, swarm.calls], [404, []])
    },
  })),
  ...ENGINE_FAULTS.map(([code, status]) => ({
    name: `${code} of the swarm is ${status}, with Retry-After`,
    async run() {
      const { swarm, logger, put } = createHarness()
      swarm.failure = new DeployerError(code, 'Cannot do it', {
        retryAfterSeconds: 7,
        cause: new Error('why'),
      })
      const { body, headers, status: came } = await put('blog')
      equal([came, body.code, body.detail], [status, code, 'Cannot do it'])
      equal(headers.get('Retry-After'), '7')
      equal(
        logger.lines.map(({ level, code, cause }) => [level, code, cause]),
        [['error', code, 'why']],
      )
    },
  })),
  {
    name: 'an unexpected error is 500 internal-error without details, and is logged once',
    async run() {
      const { swarm, logger, put } = createHarness()
      swarm.failure = new Error('secret detail')
      const { status, body } = await put('blog')
      equal([status, body.code], [500, 'internal-error'])
      equal(JSON.stringify(body).includes('secret detail'), false)
      equal(
        logger.lines.map(({ message }) => message),
        ['request failed', 'deployment refused'],
      )
      equal(String(logger.lines[0]?.err), 'Error: secret detail')
    },
  },
  {
    name: 'a swarm that throws a value that is not an Error is handled and logged like any error',
    async run() {
      const { swarm, logger, put } = createHarness()
      swarm.failure = 'just a text'
      equal((await put('blog')).body.code, 'internal-error')
      equal(String(logger.lines[0]?.err), 'Error: Thrown value is not an Error: just a text')
    },
  },
  {
    name: 'an incomplete body is malformed-request',
    async run() {
      const { logger, put } = createHarness()
      let sent = false
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent) {
            controller.error(new Error('gone'))
          } else {
            controller.enqueue(new TextEncoder().encode('{"image":'))
            sent = true
          }
        },
      })
      equal((await put('blog', { body })).body.code, 'malformed-request')
      equal(logger.lines.length, 1)
    },
  },
  {
    name: 'the log line of a rejected request has the image, and long values are shortened',
    async run() {
      const { logger, put } = createHarness()
      await put('blog', { image: 'me/app:v2' })
      await put('x'.repeat(5000))
      equal(
        logger.lines.map(({ service, image }) => [String(service).length, image]),
        [
          [4, 'me/app:v2'],
          [201, 'me/app:v2'],
        ],
      )
    },
  },
  {
    name: 'an HTTPException becomes a problem that keeps its status and headers',
    async run() {
      const { swarm, logger, put } = createHarness()
      const res = new Response('tea', {
        status: 418,
        headers: { 'X-Pot': 'short', 'Content-Length': '3' },
      })
      swarm.failure = new HTTPException(418, { message: 'I am a teapot', res })
      const { status, headers, body } = await put('blog')
      equal([status, headers.get('X-Pot'), headers.get('Content-Length')], [418, 'short', null])
      equal([body.code, body.detail], ['http-error', 'I am a teapot'])
      equal(
        logger.lines.map(({ code, reason }) => [code, reason]),
        [['http-error', 'I am a teapot']],
      )
      equal(headers.get('Content-Type'), 'application/problem+json')
    },
  },
  {
    name: 'an HTTPException of another copy of Hono keeps its status and headers too',
    async run() {
      class ForeignHttpException extends Error {
        readonly status = 418
        getResponse(): Response {
          return new Response('tea', { status: 418, headers: { 'X-Pot': 'short' } })
        }
      }
      const { swarm, logger, put } = createHarness()
      swarm.failure = new ForeignHttpException('I am a teapot')
      equal(swarm.failure instanceof HTTPException, false)
      const { status, headers, body } = await put('blog')
      equal([status, headers.get('X-Pot')], [418, 'short'])
      equal([body.code, body.detail], ['http-error', 'I am a teapot'])
      equal(
        logger.lines.map(({ message, code, reason }) => [message, code, reason]),
        [['deployment refused', 'http-error', 'I am a teapot']],
      )
    },
  },
  {
    name: 'other methods than GET, and PUT for a service, are 405 with Allow, with and without a token',
    async run() {
      const { app, swarm } = createHarness()
      swarm.addService('blog')
      const paths = [
        ['/service/blog', 'GET, PUT', ['POST', 'DELETE', 'PATCH', 'OPTIONS']],
        ['/services', 'GET', ['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']],
        ['/deployments/x', 'GET', ['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']],
      ] as const
      for (const [path, allow, methods] of paths) {
        for (const method of methods) {
          for (const headers of [{}, { Authorization: TOKEN }]) {
            const refused = await read(await app.request(path, { method, headers }))
            equal([method, refused.status, refused.body.code], [method, 405, 'method-not-allowed'])
            equal(refused.headers.get('Allow'), allow)
          }
        }
      }
      equal(swarm.calls, [])
    },
  },
  {
    name: 'an unknown path is 404 not-found',
    async run() {
      const { app, swarm } = createHarness()
      for (const path of ['/', '/service', '/service/', '/service/blog/x', '/services/blog']) {
        const init = { method: 'PUT', body: '{}', headers: { Authorization: TOKEN } }
        const { status, body } = await read(await app.request(path, init))
        equal([path, status, body.code], [path, 404, 'not-found'])
      }
      equal(swarm.calls, [])
    },
  },
  {
    name: 'invalid options throw when the app is created',
    run() {
      const { swarm } = createHarness()
      const wrong: readonly unknown[] = [
        { token: '', swarm },
        { swarm },
        { token: 'x' },
        { token: 'x', swarm: {} },
        { token: 'x', swarm, notifier: 'chat' },
        { token: 'x', swarm, logger: console.log },
        { token: 'x\n', swarm },
        { token: 'bearer', swarm },
        { token: 'x\ud800', swarm },
        { token: 'x'.repeat(15_361), swarm },
      ]
      for (const options of wrong) {
        let thrown: unknown
        try {
          createDeployer(options as Parameters<typeof createDeployer>[0])
        } catch (error) {
          thrown = error
        }
        equal(thrown instanceof TypeError, true)
      }
    },
  },
]

function inPieces(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  let sent = 0
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.slice(sent, sent + 1000))
      sent += 1000
      if (sent >= bytes.length) {
        controller.close()
      }
    },
  })
}
