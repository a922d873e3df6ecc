// Destinations from settings: an event is delivered through each type to loopback servers.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDestinations } from '../../../src/node/settings/destinations.ts'
import { type NotifySettings, readNotifyFlags } from '../../../src/node/settings/notify-flags.ts'
import { createSettingsIssues } from '../../../src/node/settings/settings-issue.ts'
import type { Destination } from '../../../src/notification/destination.ts'
import { defaultBody } from '../../../src/notification/webhook/webhook-body.ts'
import { exampleEvent } from '../../support/example-event.ts'
import { httpLoopback, type Loopback, tcpLoopback } from '../../support/loopback.ts'

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

const EVENT = exampleEvent({ service: 'my/blög', metadata: { commit: '1f0a3c4' } })

let beanstalkd: Loopback
let jobs: string
let hook: Loopback
let requests: Received[]
let destinations: readonly Destination[]

beforeEach(async () => {
  jobs = ''
  requests = []
  destinations = []
  beanstalkd = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      jobs += data
      socket.write(data.toString().startsWith('use') ? 'USING chat\r\n' : 'INSERTED 1\r\n')
    })
  })
  hook = await httpLoopback(async (request, response) => {
    const { method, url, headers } = request
    const chunks: Buffer[] = await request.toArray()
    requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
    response.writeHead(204).end()
  })
})

afterEach(async () => {
  for (const destination of destinations) {
    destination.close?.()
  }
  await beanstalkd.close()
  await hook.close()
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Creates destinations from the value of NOTIFY_FLAGS. */
function create(...flags: readonly object[]): readonly Destination[] {
  destinations = createDestinations(settingsOf(flags))
  return destinations
}

function settingsOf(flags: readonly object[]): readonly NotifySettings[] {
  const issues = createSettingsIssues()
  const settings = readNotifyFlags(JSON.stringify(flags), issues)
  expect([...issues.errors, ...issues.warnings]).toEqual([])
  return settings ?? []
}

async function deliver(to: readonly Destination[]): Promise<void> {
  for (const destination of to) {
    await destination.deliver(EVENT, new AbortController().signal)
  }
}

test('without settings there are no destinations', () => {
  expect(createDestinations([])).toEqual([])
})

test('names and events are those of the settings, in the same order', () => {
  const created = create(
    { addr: 'beanstalkd:11300', tube: 'chat', template: '', name: 'chat' },
    { type: 'webhook', url: 'https://hooks.slack.com/services/x', events: ['failed', 'refused'] },
  )
  expect(created.map(({ name, events }) => [name, events])).toEqual([
    ['chat', ['accepted']],
    ['webhook:https://hooks.slack.com', ['failed', 'refused']],
  ])
})

test('beanstalkd receives the rendered template and the numbers of the job', async () => {
  const template = base64('{{.ServiceName}} runs {{.Artifact}} of {{.Meta.commit}}')
  const addr = `127.0.0.1:${beanstalkd.port}`
  await deliver(create({ addr, tube: 'chat', template, priority: 1, delay: 2, ttr: 3 }))
  const body = 'my/blög runs me/blog:v2 of 1f0a3c4'
  expect(jobs).toBe(`use chat\r\nput 1 2 3 ${Buffer.byteLength(body)}\r\n${body}\r\n`)
})

test('a webhook without a template receives the default body', async () => {
  const url = `http://127.0.0.1:${hook.port}/deployments?key=x`
  await deliver(create({ type: 'webhook', url }))
  expect(requests).toMatchObject([
    {
      method: 'POST',
      url: '/deployments?key=x',
      headers: { 'content-type': 'application/json', 'webhook-id': EVENT.id },
      body: defaultBody(EVENT),
    },
  ])
  expect(requests[0]?.headers).not.toHaveProperty('webhook-signature')
})

test('a webhook receives the rendered template with method, headers and signature at a rendered URL', async () => {
  await deliver(
    create({
      type: 'webhook',
      url: `http://127.0.0.1:${hook.port}/{{.ServiceName}}?at={{.Meta.commit}}`,
      method: 'PUT',
      headers: { Authorization: 'Bearer SECRET', 'Content-Type': 'text/plain' },
      secret: `whsec_${base64('x'.repeat(32))}`,
      template: base64('{"text": {{json .ServiceName}}}'),
    }),
  )
  expect(requests).toMatchObject([
    {
      method: 'PUT',
      url: '/my%2Fbl%C3%B6g?at=1f0a3c4',
      headers: {
        authorization: 'Bearer SECRET',
        'content-type': 'text/plain',
        'webhook-signature': expect.stringMatching(/^v1,/),
      },
      body: '{"text": "my/blög"}',
    },
  ])
})

test('a webhook whose template renders an empty text sends nothing', async () => {
  const template = base64('{{if eq .Event "failed"}}it failed{{end}}\n')
  const url = `http://127.0.0.1:${hook.port}/`
  await deliver(create({ type: 'webhook', url, template }))
  expect(requests).toEqual([])
})

test('one event is delivered to all destinations', async () => {
  const template = base64('{{.Event}}')
  const url = `http://127.0.0.1:${hook.port}/`
  const addr = `127.0.0.1:${beanstalkd.port}`
  await deliver(
    create(
      { addr, tube: 'chat', template },
      ...[1, 2].map(() => ({ type: 'webhook', url, template })),
    ),
  )
  expect(jobs).toContain('\r\naccepted\r\n')
  expect(requests.map(({ body }) => body)).toEqual(['accepted', 'accepted'])
})
