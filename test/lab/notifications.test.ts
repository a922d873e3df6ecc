// Notifications with real rollouts: messages in beanstalkd, webhooks, and delivery after Deployer was killed
// or stopped.

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, describe, expect, type TestContext, test, vi } from 'vitest'
import { createBeanstalkd } from './beanstalkd.ts'
import { ALLOWED, type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import { freePorts } from './ports.ts'
import { runProgram } from './processes.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

// The tests wait most of the time.
vi.setConfig({ maxConcurrency: 12 })

const lab = sharedLab()
const [v1 = '', v2 = '', bad = ''] = ['v1', 'v2', 'bad'].map((tag) => lab.image(`lab/app:${tag}`))
const ALL = [
  ...['accepted', 'unchanged', 'converged', 'rolled-back', 'paused', 'failed', 'timed-out'],
  ...['superseded', 'removed', 'unknown', 'refused'],
]
const TEMPLATE = `{"event": {{json .Event}}, "service": {{json .ServiceName}}, "image": {{json .Artifact}},
 "previous": {{json .Previous}}, "digest": {{json .Digest}}, "id": {{json .ServiceID}},
 "deployment": {{json .DeploymentID}}, "caller": {{json .Caller}}, "error": {{json .Error}},
 "startedAt": {{json .StartedAt}}, "endedAt": {{json .EndedAt}}, "duration": {{json .Duration}},
 "commit": {{json .Meta.commit}}, "nothing": {{json .Meta.nothing}}, "message": {{json .MessageID}}}`

afterAll(() => removeServices(lab.engine))

function flags(tube: string, events: readonly string[] = ALL, addr = lab.beanstalkd.address) {
  return { addr, tube, template: Buffer.from(TEMPLATE).toString('base64'), events }
}

async function start(
  env: Readonly<Record<string, string>>,
  { onTestFinished }: TestContext,
): Promise<LabDeployer> {
  const deployer = await startLabDeployer(lab.engine, env)
  onTestFinished(() => deployer.kill())
  return deployer
}

async function create(name: string, args: readonly string[] = []): Promise<void> {
  await lab.createService({ name, image: v1, labels: ALLOWED, args })
  await lab.waitRunning(name, v1)
}

async function nextMessage(tube: string, beanstalkd = lab.beanstalkd) {
  return JSON.parse((await beanstalkd.reserve(tube)).body.toString())
}

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Starts a receiver of webhooks, which responds with the given status. */
async function startReceiver(answer: () => number, { onTestFinished }: TestContext) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    received.push({ headers: request.headers, body })
    response.writeHead(answer()).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe.concurrent('messages', () => {
  test('of a rollout that converges and of one that is rolled back have every value', async (context) => {
    await create('messages-good')
    await create('messages-bad', ['--update-failure-action=rollback', '--update-monitor=60s'])
    const { put } = await start({ NOTIFY_FLAGS: JSON.stringify(flags('messages-both')) }, context)
    const good = await put('messages-good?wait=150', { image: v2, metadata: { commit: 'a"1\n' } })
    expect(good.status).toBe(200)
    const { digest } = await nextMessage('messages-both')
    const message = await nextMessage('messages-both')
    const { body } = good
    expect(digest).toBe(String(body.resolved).split('@')[1])
    const [, seconds = ''] = /^(?:0s|([\d.]+)s)$/.exec(message.duration) ?? []
    expect(Number(seconds)).toBeGreaterThan(0.1)
    expect(message).toEqual({
      event: 'converged',
      service: 'messages-good',
      image: v2,
      previous: body.previous,
      digest,
      id: body.serviceId,
      deployment: body.deploymentId,
      caller: 'token',
      error: '',
      startedAt: body.startedAt,
      endedAt: body.endedAt,
      duration: message.duration,
      commit: 'a"1\n',
      nothing: '',
      message: expect.stringMatching(/^msg_[0-9a-f]{32}_converged$/),
    })

    expect((await put('messages-bad?wait=150', bad)).status).toBe(424)
    expect((await nextMessage('messages-both')).event).toBe('accepted')
    const failed = await nextMessage('messages-both')
    expect(failed).toMatchObject({ event: 'rolled-back', image: bad, commit: '' })
    expect(failed.error).toMatch(/^.*rollback completed; task 1 on \S+ failed: .*exit code 1$/)
    expect(failed.error).not.toMatch(/no database/)
  })

  test('of a refused deployment have the reason', async (context) => {
    await lab.createService({ name: 'messages-refused', image: v1 })
    const { put } = await start(
      { NOTIFY_FLAGS: JSON.stringify(flags('messages-refused')) },
      context,
    )
    const { status, body } = await put('messages-refused', {
      image: v2,
      metadata: { commit: 'b2' },
    })
    expect(status).toBe(403)
    expect(await nextMessage('messages-refused')).toMatchObject({
      event: 'refused',
      service: 'messages-refused',
      image: v2,
      error: body.detail,
      commit: 'b2',
      deployment: '',
    })
  })

  test('go to a signed webhook and to a tube, with settings from a file', async (context) => {
    await create('messages-hook')
    const secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
    const answers = [500, 204, 204]
    const { received, url } = await startReceiver(() => answers.shift() ?? 204, context)
    const hook = { type: 'webhook', url, secret, events: ['accepted', 'converged'] }
    const file = join(lab.directory, 'messages-hook.json')
    await writeFile(file, `${JSON.stringify([flags('messages-hook', ['accepted']), hook])}\n`)
    const { put } = await start({ NOTIFY_FLAGS_FILE: file }, context)
    const { body } = await put('messages-hook?wait=150', { image: v2, metadata: { commit: 'c3' } })
    await waitFor('three requests', async () => received.length === 3)
    for (const { headers, body: text } of received) {
      new Webhook(secret).verify(text, headers as Record<string, string>)
    }
    const events = received.map(({ body: text }) => JSON.parse(text))
    expect(events.map(({ type }) => type)).toEqual([
      'deployment.accepted',
      'deployment.accepted',
      'deployment.converged',
    ])
    expect(events[2].data).toMatchObject({
      ...{ service: 'messages-hook', image: v2, deploymentId: body.deploymentId },
      metadata: { commit: 'c3' },
    })
    const ids = received.map(({ headers }) => headers['webhook-id'])
    expect([ids[0] === ids[1], ids[0] === ids[2]]).toEqual([true, false])
    expect((await nextMessage('messages-hook')).event).toBe('accepted')
    expect(await lab.beanstalkd.countJobs('messages-hook')).toBe(0)
  })
})

describe.concurrent('after a restart, with SPOOL_DIR', () => {
  test.for([
    ['converged', v2, []],
    ['paused', bad, ['--update-monitor=60s']],
  ] as const)(
    'the verdict %s after a SIGKILL is sent by the next Deployer',
    async ([verdict, image, args], context) => {
      const name = `spool-${verdict}`
      await create(name, args)
      const env = {
        NOTIFY_FLAGS: JSON.stringify(flags(name)),
        SPOOL_DIR: join(lab.directory, name),
      }
      const first = await start(env, context)
      const { body } = await first.put(name, { image, metadata: { commit: 'd4' } })
      const accepted = await nextMessage(name)
      await waitFor('the spool to have only the record of the verdict', async () => {
        const files = await filesIn(env.SPOOL_DIR)
        const [file = ''] = files
        return files.length === 1 && (await readFile(file, 'utf8')).includes('"published"')
      })
      await first.kill()
      const second = await start(env, context)
      const ended = await nextMessage(name)
      expect([accepted.event, ended.event]).toEqual(['accepted', verdict])
      expect(ended).toMatchObject({ deployment: body.deploymentId, commit: 'd4' })
      expect(ended.message).toBe(accepted.message.replace('accepted', verdict))
      await waitFor(
        'the spool to be empty',
        async () => (await filesIn(env.SPOOL_DIR)).length === 0,
      )
      await second.kill()
    },
  )

  test('two Deployers that overlap, as with start-first, send every message once', async (context) => {
    // This rollout ends after the older Deployer has stopped.
    await create('spool-slow', ['--update-monitor=25s'])
    await create('spool-quick')
    const env = {
      NOTIFY_FLAGS: JSON.stringify(flags('spool-overlap')),
      SPOOL_DIR: join(lab.directory, 'spool-overlap'),
    }
    const older = await start(env, context)
    const { body } = await older.put('spool-slow', { image: v2, metadata: { commit: 'older' } })
    const messages = [await nextMessage('spool-overlap')]

    const newer = await start(env, context)
    const joined = { image: v2, metadata: { commit: 'newer' } }
    expect((await newer.put('spool-slow', joined)).body.deploymentId).toBe(body.deploymentId)
    expect((await newer.put('spool-quick?wait=150', joined)).status).toBe(200)
    const ended = older.process.ended()
    older.process.kill('SIGTERM')
    expect((await ended).status).toBe(0)
    const log = older.process.log().map(({ msg }) => msg)
    expect(log).not.toContain('deployment ended')
    expect(log).not.toContain('verdict will not be sent')

    while (messages.length < 4) {
      messages.push(await nextMessage('spool-overlap'))
    }
    await waitFor('the spool to be empty', async () => (await filesIn(env.SPOOL_DIR)).length === 0)
    expect(await lab.beanstalkd.countJobs('spool-overlap')).toBe(0)
    const sent = messages.map(({ service, event, commit }) => `${service} ${event} ${commit}`)
    expect(sent.toSorted()).toEqual([
      'spool-quick accepted newer',
      'spool-quick converged newer',
      'spool-slow accepted older',
      'spool-slow converged older',
    ])
    expect(newer.process.log().filter(({ level }) => level === 'error')).toEqual([])
  })

  test('messages for an unreachable beanstalkd are kept at SIGTERM, and delivered in order', async (context) => {
    await create('spool-unreachable')
    const [port = 0] = await freePorts(1)
    const directory = join(lab.directory, 'spool-unreachable')
    await mkdir(directory)
    const beanstalkd = await createBeanstalkd(directory, port)
    const env = {
      NOTIFY_FLAGS: JSON.stringify(flags('spool-unreachable', ALL, beanstalkd.address)),
      SPOOL_DIR: join(directory, 'spool'),
    }
    const first = await start(env, context)
    for (const image of [v2, v1]) {
      expect((await first.put('spool-unreachable?wait=150', image)).status).toBe(200)
    }
    const ended = first.process.ended()
    first.process.kill('SIGTERM')
    expect((await ended).status).toBe(0)
    const log = first.process.log()
    expect(log.at(-1)).toMatchObject({ msg: 'stopped', messagesKept: 4, messagesGivenUp: 0 })
    expect(log.filter(({ msg }) => msg === 'messages are not delivered for now')).toHaveLength(1)
    expect(await filesIn(env.SPOOL_DIR)).toHaveLength(4)

    await beanstalkd.start()
    context.onTestFinished(() => beanstalkd.stop())
    await start(env, context)
    const sent: string[] = []
    for (let i = 0; i < 4; i += 1) {
      const { event, image } = await nextMessage('spool-unreachable', beanstalkd)
      sent.push(`${event} ${image}`)
    }
    expect(sent).toEqual([
      ...[`accepted ${v2}`, `converged ${v2}`],
      ...[`accepted ${v1}`, `converged ${v1}`],
    ])
    await waitFor('the spool to be empty', async () => (await filesIn(env.SPOOL_DIR)).length === 0)
  })

  test('with a full disk deployments and messages succeed, and the log has the error', async (context) => {
    await create('spool-full')
    const SPOOL_DIR = join(lab.directory, 'spool-full')
    await mkdir(SPOOL_DIR)
    await runProgram('/bin/mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=0700', 'tmpfs', SPOOL_DIR])
    context.onTestFinished(() => void runProgram('/bin/umount', ['-l', SPOOL_DIR]))
    await writeFile(join(SPOOL_DIR, 'full'), Buffer.alloc(16_384)).catch(() => {})
    const env = { NOTIFY_FLAGS: JSON.stringify(flags('spool-full')), SPOOL_DIR }
    const { put, process } = await start(env, context)
    expect((await put('spool-full?wait=150', v2)).status).toBe(200)
    expect((await nextMessage('spool-full')).event).toBe('accepted')
    expect((await nextMessage('spool-full')).event).toBe('converged')
    const lines = process.log().map(({ msg, reason }) => `${msg}: ${reason}`)
    expect(lines.join('\n')).toMatch(/SPOOL_DIR cannot be used.*ENOSPC/)
  })

  test('files are readable only by their owner, and contain no password', async (context) => {
    await create('spool-modes')
    const [port = 0] = await freePorts(1)
    const SPOOL_DIR = join(lab.directory, 'spool-modes')
    const NOTIFY_FLAGS = JSON.stringify(flags('spool-modes', ALL, `127.0.0.1:${port}`))
    const { put } = await start({ NOTIFY_FLAGS, SPOOL_DIR }, context)
    const registryAuth = Buffer.from('{"username":"u","password":"PASSWORD-SECRET"}')
    const auth = ['-H', `X-Registry-Auth: ${registryAuth.toString('base64url')}`]
    expect((await put('spool-modes?wait=150', v2, ...auth)).status).toBe(200)
    const messages = async (): Promise<readonly string[]> =>
      (await filesIn(SPOOL_DIR)).filter((file) => file.includes('/messages/'))
    await waitFor('both messages', async () => (await messages()).length === 2)
    for (const file of await messages()) {
      expect(await readFile(file, 'utf8')).not.toMatch(/SECRET/)
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      expect((await stat(dirname(file))).mode & 0o777).toBe(0o700)
    }
    expect((await stat(SPOOL_DIR)).mode & 0o777).toBe(0o700)
  })
})

test.concurrent('without SPOOL_DIR messages that are not delivered at shutdown are in the log', async (context) => {
  await create('memory-alone')
  const [port = 0] = await freePorts(1)
  const NOTIFY_FLAGS = JSON.stringify(flags('memory-alone', ALL, `127.0.0.1:${port}`))
  const { put, process } = await start({ NOTIFY_FLAGS }, context)
  await put('memory-alone?wait=150', { image: v2, metadata: { commit: 'e5' } })
  const ended = process.ended()
  process.kill('SIGTERM')
  await ended
  const lost = process.log().filter(({ msg }) => msg === 'message not delivered')
  expect(lost.map(({ event }) => event)).toEqual(['accepted', 'converged'])
  expect(lost[1]).toMatchObject({
    destination: `beanstalkd:127.0.0.1:${port}/memory-alone`,
    reason: 'Deployer is shutting down',
    service: 'memory-alone',
    image: v2,
    metadata: { commit: 'e5' },
  })
  expect(process.log().at(-1)).toMatchObject({ msg: 'stopped', messagesGivenUp: 2 })
})

async function filesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map(({ parentPath, name }) => join(parentPath, name))
}
