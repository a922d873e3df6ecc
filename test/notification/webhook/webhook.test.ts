import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createEtaRenderer } from '../../../src/node/eta-renderer.ts'
import { DeliveryError } from '../../../src/notification/delivery-error.ts'
import type { DeploymentEvent } from '../../../src/notification/deployment-event.ts'
import { createWebhook, type WebhookOptions } from '../../../src/notification/webhook/webhook.ts'
import { defaultBody } from '../../../src/notification/webhook/webhook-body.ts'
import { httpLoopback, type Loopback, tcpLoopback } from '../../support/loopback.ts'

const EVENT: DeploymentEvent = {
  id: 'msg_0123456789abcdef0123456789abcdef_converged',
  event: 'converged',
  service: 'blog',
  serviceId: 'abcdefghijklmnopqrstuvwxy',
  image: 'me/blog:v2',
  digest: 'sha256:00',
  previous: 'me/blog:v1',
  deploymentId: 'd1',
  caller: 'ci',
  error: '',
  startedAt: '2026-01-02T03:04:05.000Z',
  endedAt: '2026-01-02T03:05:05.000Z',
  metadata: { commit: '1f2e3d' },
}
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const PATH = '/hooks/T0001/s3cr3t-token'
const never = new AbortController().signal
/** Only a failing test waits for so long. */
const SOON = { timeout: 10_000 }

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly port: number | undefined
}

const servers: Loopback[] = []
let received: Received[] = []
/** The number of connections that the client closed before the response ended. */
let aborted = 0

beforeEach(() => {
  received = []
  aborted = 0
})

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

/** Starts a server that records requests, and sends the response of the test. Returns its origin. */
async function serve(respond: (response: ServerResponse) => void): Promise<string> {
  const server = await httpLoopback(async (request: IncomingMessage, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) {
      body += chunk
    }
    const { method, url, headers } = request
    received.push({ method, url, headers, body, port: request.socket.remotePort })
    response.on('close', () => {
      aborted += response.writableFinished ? 0 : 1
    })
    respond(response)
  })
  servers.push(server)
  return `http://127.0.0.1:${server.port}`
}

/** Starts a server that answers with raw bytes. Returns its origin. */
async function serveRaw(respond: (socket: Socket) => void): Promise<string> {
  const server = await tcpLoopback((socket) => socket.once('data', () => respond(socket)))
  servers.push(server)
  return `http://127.0.0.1:${server.port}`
}

const status =
  (code: number, headers: Record<string, string> = {}, body = '') =>
  (response: ServerResponse): void =>
    void response.writeHead(code, headers).end(body)

interface Delivery extends Partial<WebhookOptions> {
  readonly event?: DeploymentEvent
  readonly signal?: AbortSignal
}

function deliver(
  origin: string,
  { event = EVENT, signal = never, ...options }: Delivery = {},
): Promise<void> {
  const webhook = createWebhook({ name: 'chat', url: `${origin}${PATH}`, ...options })
  return webhook.deliver(event, signal)
}

async function errorOf(delivery: Promise<void>): Promise<DeliveryError> {
  const error: unknown = await delivery.then(
    () => 'delivered',
    (reason) => reason,
  )
  if (!(error instanceof DeliveryError)) {
    throw new Error(`Expected a DeliveryError, got ${String(error)}`)
  }
  expect(error.message).toMatch(/^Cannot deliver to "chat": /)
  for (const secret of ['hooks', 'T0001', 's3cr3t', SECRET, '\n']) {
    expect(error.message).not.toContain(secret)
  }
  return error
}

describe('the request of a webhook', () => {
  test('has the documented JSON as its body without a template', async () => {
    await deliver(await serve(status(200)))
    expect(received).toHaveLength(1)
    expect(received[0]).toMatchObject({ method: 'POST', url: PATH })
    expect(received[0]?.body).toBe(defaultBody(EVENT))
    expect(JSON.parse(defaultBody(EVENT))).toEqual({
      type: 'deployment.converged',
      timestamp: '2026-01-02T03:05:05.000Z',
      data: {
        messageId: EVENT.id,
        event: 'converged',
        service: 'blog',
        serviceId: 'abcdefghijklmnopqrstuvwxy',
        image: 'me/blog:v2',
        digest: 'sha256:00',
        previous: 'me/blog:v1',
        deploymentId: 'd1',
        caller: 'ci',
        error: '',
        startedAt: '2026-01-02T03:04:05.000Z',
        endedAt: '2026-01-02T03:05:05.000Z',
        metadata: { commit: '1f2e3d' },
      },
    })
  })

  test('has the time of the start before the end', () => {
    const accepted: DeploymentEvent = { ...EVENT, event: 'accepted', endedAt: '' }
    expect(JSON.parse(defaultBody(accepted))).toMatchObject({
      type: 'deployment.accepted',
      timestamp: '2026-01-02T03:04:05.000Z',
    })
  })

  test('has the body of the template, and the method and headers of the options', async () => {
    await deliver(await serve(status(204)), {
      method: 'PUT',
      headers: { 'content-type': 'text/plain; charset=utf-8', Authorization: 'Bearer abc' },
      renderer: createEtaRenderer('{{.ServiceName}} runs {{.Artifact}} ü {{.Meta.commit}}'),
    })
    expect(received[0]).toMatchObject({ method: 'PUT', body: 'blog runs me/blog:v2 ü 1f2e3d' })
    expect(received[0]?.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      authorization: 'Bearer abc',
      'user-agent': 'swarm-deployer',
    })
  })

  test('has a default content type and user agent', async () => {
    const origin = await serve(status(200))
    await deliver(origin)
    await deliver(origin, { headers: { 'User-Agent': 'me' } })
    expect(received.map(({ headers }) => [headers['content-type'], headers['user-agent']])).toEqual(
      [
        ['application/json', 'swarm-deployer'],
        ['application/json', 'me'],
      ],
    )
  })

  test('is not sent when the template renders only white space', async () => {
    const origin = await serve(status(500))
    const renderer = createEtaRenderer('{{if eq .Event "rolled-back"}}back{{end}} \n')
    await deliver(origin, { renderer })
    expect(received).toEqual([])
    await errorOf(deliver(origin, { renderer, event: { ...EVENT, event: 'rolled-back' } }))
    expect(received).toHaveLength(1)
  })

  test('is not retried when its template fails', async () => {
    const renderer = {
      render: () => {
        throw new Error('hooks')
      },
    }
    const error = await errorOf(deliver('http://127.0.0.1:1', { renderer }))
    expect(error).toMatchObject({ isFinal: true })
  })
})

describe('the headers of Standard Webhooks', () => {
  test('have a signature that the receiver verifies with the same secret only', async () => {
    await deliver(await serve(status(200)), { secret: SECRET })
    const { headers = {}, body = '' } = received[0] ?? {}
    const sent = headers as Record<string, string>
    expect(headers['webhook-id']).toBe(EVENT.id)
    expect(new Webhook(SECRET).verify(body, sent)).toMatchObject({ type: 'deployment.converged' })
    const other = new Webhook(Buffer.alloc(32, 8).toString('base64'))
    expect(() => other.verify(body, sent)).toThrow('No matching signature')
    expect(() => new Webhook(SECRET).verify(`${body} `, sent)).toThrow('No matching signature')
  })

  test('sign a body that is neither ASCII nor JSON', async () => {
    await deliver(await serve(status(200)), {
      secret: SECRET,
      renderer: { render: () => 'ü → \ud83d\ude80' },
    })
    const { headers = {}, body = '' } = received[0] ?? {}
    const options = { jsonParse: false }
    new Webhook(SECRET).verify(body, headers as Record<string, string>, options)
  })

  test('are new for each attempt, except for the ID', async () => {
    const webhook = createWebhook({
      name: 'chat',
      url: await serve(status(200)),
      secret: SECRET.slice('whsec_'.length),
    })
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-02T03:04:05.678Z') })
    await webhook.deliver(EVENT, never)
    vi.setSystemTime(new Date('2026-01-02T03:04:15.678Z'))
    await webhook.deliver(EVENT, never)
    const [first, second] = received.map(({ headers }) => headers)
    expect([first?.['webhook-timestamp'], second?.['webhook-timestamp']]).toEqual([
      '1767323045',
      '1767323055',
    ])
    expect(second?.['webhook-id']).toBe(first?.['webhook-id'])
    expect(second?.['webhook-signature']).not.toBe(first?.['webhook-signature'])
    new Webhook(SECRET).verify(received[1]?.body ?? '', second as Record<string, string>)
  })

  test('have no signature without a secret', async () => {
    await deliver(await serve(status(200)))
    expect(received[0]?.headers).not.toHaveProperty('webhook-signature')
    expect(received[0]?.headers).toHaveProperty('webhook-timestamp')
  })
})

describe('a response', () => {
  test.each([200, 201, 202, 204, 299])('of %i is a delivery', async (code) => {
    await deliver(await serve(status(code)))
    expect(received).toHaveLength(1)
  })

  test.each([400, 410, 413, 414, 422, 431])('of %i is final', async (code) => {
    const error = await errorOf(deliver(await serve(status(code, {}, 'no such channel'))))
    expect(error.isFinal).toBe(true)
    expect(error.message).toContain(`it answered ${code}: no such channel`)
  })

  test.each([401, 403, 404, 405, 408, 409, 429, 500, 502, 503])(
    'of %i is retried',
    async (code) => {
      const error = await errorOf(deliver(await serve(status(code))))
      expect(error).toMatchObject({ isFinal: false, retryAfterMs: undefined })
      expect(error.message).toMatch(new RegExp(`it answered ${code}$`))
    },
  )

  test.each([
    ['7', 7000],
    ['0', 0],
    ['999999999999', 3_600_000],
    ['Fri, 02 Jan 2026 03:04:35 GMT', 30_000],
    ['Friday, 02-Jan-26 03:04:35 GMT', 30_000],
    ['Fri, 02 Jan 2026 03:00:00 GMT', 0],
    ['Sat, 03 Jan 2026 03:00:00 GMT', 3_600_000],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['2026', 2_026_000],
  ])('of 429 or 503 with Retry-After: %s sets the pause', async (value, retryAfterMs) => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-02T03:04:05Z') })
    const headers = { 'Retry-After': value, Date: 'Fri, 02 Jan 2026 03:04:05 GMT' }
    for (const code of [429, 503]) {
      const origin = await serve(status(code, headers))
      expect((await errorOf(deliver(origin))).retryAfterMs).toBe(retryAfterMs)
    }
    const origin = await serve(status(500, { 'Retry-After': value }))
    expect((await errorOf(deliver(origin))).retryAfterMs).toBeUndefined()
  })

  test.each(['2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z'])(
    'with a date in Retry-After is compared with its Date header, when the local time is %s',
    async (now) => {
      vi.useFakeTimers({ toFake: ['Date'], now: new Date(now) })
      const origin = await serve(
        status(503, {
          Date: 'Fri, 02 Jan 2026 03:04:05 GMT',
          'Retry-After': 'Fri, 02 Jan 2026 03:04:35 GMT',
        }),
      )
      expect((await errorOf(deliver(origin))).retryAfterMs).toBe(30_000)
    },
  )

  test.each([301, 302, 303, 307, 308])('of %i is not followed', async (code) => {
    let strayRequests = 0
    const target = await serveRaw(() => {
      strayRequests += 1
    })
    const origin = await serve(status(code, { Location: `${target}/hooks/s3cr3t?hooks=1` }))
    const error = await errorOf(deliver(origin, { headers: { Authorization: 'Bearer abc' } }))
    expect(error.isFinal).toBe(false)
    expect(error.message).toContain(`it redirects to ${target} (${code}): set url to where it ends`)
    expect(strayRequests).toBe(0)
  })

  test('that redirects without a location is reported', async () => {
    const error = await errorOf(deliver(await serve(status(302))))
    expect(error.message).toContain('it redirects (302)')
    const broken = await errorOf(deliver(await serve(status(302, { Location: 'http://[' }))))
    expect(broken.message).toContain('it redirects (302)')
  })

  test('is quoted in one line of at most 200 characters', async () => {
    const text = `<p>\r\n\u001b[31mNo\u0000 \u202ework</p>${'y'.repeat(400)}`
    const { message } = await errorOf(deliver(await serve(status(500, {}, text))))
    const quote = message.replace(/^.*it answered 500: /, '')
    expect(quote).toMatch(/^<p> \[31mNo work<\/p>y+$/)
    expect(quote).toHaveLength(200)
  })

  test('that repeats the URL or the secrets is quoted without them', async () => {
    const headers = { Authorization: 'Bearer s3cr3t-header' }
    const echo = `Cannot POST ${PATH}?key=s3cr3t-key (s3cr3t-header) sorry`
    const origin = await serve(status(404, {}, echo))
    const url = `${origin}${PATH}?key=s3cr3t-key`
    const { message } = await errorOf(deliver(origin, { headers, url }))
    expect(message).toBe('Cannot deliver to "chat": it answered 404: Cannot POST … (…) sorry')
  })
})

describe('a server that misbehaves', () => {
  const QUICK = { timeoutMs: 300 }

  test('and sends no response is given up after the timeout', async () => {
    const origin = await serve(() => {})
    const error = await errorOf(deliver(origin, QUICK))
    expect(error.message).toContain('there was no response within 300 ms')
    expect(error.isFinal).toBe(false)
    await vi.waitFor(() => expect(aborted).toBe(1), SOON)
  })

  test('and never ends the body of a 200 has accepted the message; the connection is closed later', async () => {
    const origin = await serve((response) => {
      response.writeHead(200).write('ok')
    })
    await deliver(origin)
    // The delivery did not wait for the body.
    expect(aborted).toBe(0)
    await vi.waitFor(() => expect(aborted).toBe(1), SOON)
  })

  test('and never ends the body of a 400 is quoted up to there', async () => {
    const origin = await serve((response) => {
      response.writeHead(400).write('wrong')
    })
    const error = await errorOf(deliver(origin))
    expect(error.message).toContain('it answered 400: wrong')
    expect(error.isFinal).toBe(true)
    await vi.waitFor(() => expect(aborted).toBe(1), SOON)
  })

  test.each([200, 500])('and answers %i with an endless body is cut off', async (code) => {
    let written = 0
    const origin = await serve((response) => {
      const flood = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) {
          written += 65_536
        }
      }
      response.on('drain', flood).writeHead(code)
      flood()
    })
    const outcome = await deliver(origin).catch((error: DeliveryError) => error.message.length)
    expect(outcome === undefined ? 200 : 500).toBe(code)
    expect(outcome ?? 0).toBeLessThan(300)
    await vi.waitFor(() => expect(aborted).toBe(1), SOON)
    // Both sides' socket buffers hold some megabytes.
    expect(written).toBeLessThan(20_000_000)
  })

  test.each([200, 500])('and answers %i with 10 MB costs no memory', async (code) => {
    const body = 'x'.repeat(10_000_000)
    const origin = await serve(status(code, {}, body))
    const before = process.memoryUsage()
    for (let n = 0; n < 20; n += 1) {
      await deliver(origin).catch(() => {})
    }
    const after = process.memoryUsage()
    expect(received).toHaveLength(20)
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(100_000_000)
  })

  test.each([
    ['closes before the response', (socket: Socket) => socket.end()],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
    ['sends half a response', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le')],
    ['sends garbage', (socket: Socket) => socket.end('220 mail.example.com ESMTP s3cr3t\r\n')],
    ['sends no status', (socket: Socket) => socket.end('HTTP/1.1 OK\r\n\r\n')],
  ])('and %s is retried', async (_, respond) => {
    const error = await errorOf(deliver(await serveRaw(respond)))
    expect(error.isFinal).toBe(false)
    expect(error.message).not.toContain('fetch failed')
  })

  test('and breaks off the body of a 503 is quoted up to there', async () => {
    const origin = await serveRaw((socket) => {
      socket.end('HTTP/1.1 503 No\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\nbusy')
    })
    const error = await errorOf(deliver(origin))
    expect(error.message).toContain('it answered 503: busy')
    expect(error.retryAfterMs).toBe(3000)
  })

  test('and is unreachable is reported with the network error', async () => {
    const origin = await serve(() => {})
    await servers.pop()?.close()
    const error = await errorOf(deliver(origin))
    expect(error.message).toContain('ECONNREFUSED')
    expect(error.isFinal).toBe(false)
    expect(error.cause).toBeInstanceOf(Error)
    const named = await errorOf(deliver(origin.replace('127.0.0.1', 'localhost')))
    expect(named.message).toContain('ECONNREFUSED')
    const unknown = await errorOf(deliver('http://no-such-host.invalid'))
    expect(unknown.message).toMatch(/ENOTFOUND|EAI_AGAIN/)
  })
})

describe('an attempt that is aborted', () => {
  test('ends at once', async () => {
    const origin = await serve(() => {})
    const controller = new AbortController()
    const delivery = deliver(origin, { signal: controller.signal })
    await vi.waitFor(() => expect(received).toHaveLength(1))
    controller.abort()
    const error = await errorOf(delivery)
    expect(error.message).toContain('it was aborted')
    expect(error.isFinal).toBe(false)
    await vi.waitFor(() => expect(aborted).toBe(1), SOON)
  })

  test('does not start when it is aborted before', async () => {
    const origin = await serve(status(200))
    expect((await errorOf(deliver(origin, { signal: AbortSignal.abort() }))).message).toContain(
      'it was aborted',
    )
    expect(received).toEqual([])
  })
})

describe('the template of a URL', () => {
  test('inserts values percent-encoded', async () => {
    const origin = await serve(status(200))
    await deliver(origin, {
      url: createEtaRenderer(`${origin}/hooks/{{.Meta.room}}?image={{.Artifact}}&m={{.Meta.none}}`),
      event: { ...EVENT, metadata: { room: 'a b/ü' } },
    })
    expect(received[0]?.url).toBe('/hooks/a%20b%2F%C3%BC?image=me%2Fblog%3Av2&m=')
  })

  test('whose result is invalid sends nothing, and is final', async () => {
    const origin = await serve(status(200))
    const url = createEtaRenderer(`${origin}/hooks/{{.Meta.room}}`)
    const event = { ...EVENT, metadata: { room: '..' } }
    const error = await errorOf(deliver(origin, { url, event }))
    expect(error.isFinal).toBe(true)
    expect(error.message).toContain(
      'a segment of its path is empty, "." or "..", perhaps once it is decoded',
    )
    expect(received).toEqual([])
  })

  test('cannot change the host, also when it is not compiled by Deployer', () => {
    const url = { render: ({ Meta }: { Meta: Readonly<Record<string, string>> }) => `${Meta.url}` }
    expect(() => createWebhook({ name: 'chat', url })).toThrow(/must begin with http/)
  })
})

describe('invalid options', () => {
  const base: WebhookOptions = { name: 'chat', url: 'https://h.example/s3cr3t' }
  const bytes = (length: number): string => Buffer.alloc(length, 1).toString('base64')

  test.each<[string, object, RegExp]>([
    ['no name', { name: '' }, /`name`/],
    ['an unknown event', { events: ['converged', 'exploded'] }, /`events`: "exploded" is none of/],
    ['a URL of another scheme', { url: 'ftp://h.example/' }, /`url`: it must begin with http/],
    ['a URL with credentials', { url: 'https://a:b@h.example/' }, /`url`.*Authorization header/],
    [
      'a template that was not compiled',
      { url: 'https://h.example/{{.Event}}' },
      /`url`.*compiled/,
    ],
    ['no URL', { url: undefined }, /`url`/],
    ['another method', { method: 'GET' }, /`method`: it must be POST, PUT or PATCH/],
    ['an invalid header name', { headers: { 'a b': 's3cr3t' } }, /`headers`.*"a b"/],
    ['a header value of two lines', { headers: { 'X-A': 's3cr3t\nb' } }, /`headers`.*"X-A"/],
    ['a header value that is not Latin 1', { headers: { 'X-A': 's3cr3t→' } }, /`headers`.*"X-A"/],
    [
      'a reserved header',
      { headers: { 'Webhook-Id': 's3cr3t' } },
      /"Webhook-Id" is set by Deployer/,
    ],
    [
      'the content length',
      { headers: { 'content-length': '1' } },
      /"content-length" is set by Deployer/,
    ],
    ['a secret that is no base64', { secret: 's3cr3t!' }, /`secret`: it must be 24 to 64/],
    ['an empty secret', { secret: '' }, /`secret`/],
    ['a secret of 23 bytes', { secret: bytes(23) }, /`secret`/],
    ['a secret of 65 bytes', { secret: `whsec_${bytes(65)}` }, /`secret`/],
    ['an unknown option', { timeout: 's3cr3t' }, /`timeout`.*`timeoutMs`/],
    ['no timeout', { timeoutMs: 0 }, /`timeoutMs`/],
    ['half a millisecond', { timeoutMs: 0.5 }, /`timeoutMs`/],
    ['more than a timer takes', { timeoutMs: 2 ** 31 }, /`timeoutMs`/],
  ])('such as %s are rejected with a message that names the option', (_, wrong, message) => {
    let error: unknown
    try {
      createWebhook({ ...base, ...wrong } as WebhookOptions)
    } catch (thrown) {
      error = thrown
    }
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    expect(String(error)).toMatch(message)
    expect(String(error)).not.toContain('s3cr3t')
  })

  test('do not include valid ones', () => {
    for (const secret of [bytes(24), `whsec_${bytes(64)}`]) {
      expect(createWebhook({ ...base, secret }).events).toEqual(['accepted'])
    }
    const webhook = createWebhook({ ...base, events: ['refused'], method: 'PATCH' })
    expect([webhook.name, webhook.events]).toEqual(['chat', ['refused']])
  })
})

test('a webhook sends with the fetch of its options', async () => {
  const requests: unknown[] = []
  const fake: typeof fetch = async (input, init) => {
    requests.push([String(input), init?.redirect])
    return new Response('ok')
  }
  await deliver('https://h.example', { fetch: fake })
  expect(requests).toEqual([[`https://h.example${PATH}`, 'manual']])
})

test('a webhook reuses a connection after a short response', async () => {
  const origin = await serve(status(200, {}, 'ok'))
  const failing = await serve(status(500, {}, 'no'))
  for (let n = 0; n < 20; n += 1) {
    await deliver(origin)
    await deliver(failing).catch(() => {})
  }
  expect(received).toHaveLength(40)
  expect(new Set(received.map(({ port }) => port)).size).toBeLessThanOrEqual(6)
})
