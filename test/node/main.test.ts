// The program as a process: settings, output, and how it ends.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, type TestContext, test, vi } from 'vitest'
import { SHUTDOWN_LIMITS } from '../../src/node/serve.ts'
import { curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import { httpLoopback, type Loopback, tcpLoopback } from '../support/loopback.ts'

const SERVICE = {
  ID: 'abcdefghijklmnopqrstuvwxy',
  Version: { Index: 7 },
  Spec: {
    Name: 'blog',
    Labels: { 'deployer.allowUpdates': 'true' },
    TaskTemplate: { ContainerSpec: { Image: 'me/blog:v1' } },
  },
}
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`
// The shortest token that gives no warning.
const LONG = 'x'.repeat(16)
const UPDATE = ['-X', 'PUT', '-H', 'Authorization: x', '-d', '{"image":"me/blog:v2"}']
const PATIENCE = { timeout: 50_000 }

interface Resource {
  kill?(signal: NodeJS.Signals): void
  close?(): Promise<void> | void
}

/** Ends a process or a server with the test. */
function keep<T extends Resource>({ onTestFinished }: TestContext, resource: T): T {
  onTestFinished(async () => {
    resource.kill?.('SIGKILL')
    await resource.close?.()
  })
  return resource
}

function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'deployer-main-'))
  keep(context, { close: () => rmSync(directory, { recursive: true }) })
  return directory
}

function start(
  context: TestContext,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): DeployerProcess {
  return keep(context, startDeployer({ env, args }))
}

/** An engine with one service that never changes. */
interface Engine extends Loopback {
  readonly url: string
  /** How many requests it received. */
  requests(): number
  /** Waits until it received an update. */
  updated(): Promise<void>
  /** Answers the updates, those to come too. */
  release(): void
}

/** Starts an engine that answers updates at once, or only after `release`. */
async function startEngine(
  context: TestContext,
  { holdsUpdates = false }: { readonly holdsUpdates?: boolean } = {},
): Promise<Engine> {
  let requests = 0
  const received = createGate()
  const released = createGate()
  if (!holdsUpdates) {
    released.open()
  }
  const server = await httpLoopback(async (request, response) => {
    requests += 1
    if (request.method === 'POST') {
      received.open()
      await released.passed
    }
    answerAsEngine(request, response)
  })
  keep(context, server)
  return {
    ...server,
    url: `tcp://127.0.0.1:${server.port}`,
    requests: () => requests,
    updated: () => received.passed,
    release: released.open,
  }
}

/** A promise that `open` resolves. */
function createGate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

function answerAsEngine({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
  if (url.startsWith('/events')) {
    // There are no events.
    response.flushHeaders()
  } else if (method === 'POST') {
    response.end('{}')
  } else {
    const image = { Descriptor: { digest: DIGEST }, Platforms: [] }
    response.end(JSON.stringify(url.startsWith('/distribution') ? image : SERVICE))
  }
}

/** A beanstalkd that keeps the jobs that it received. */
async function startBeanstalkd(
  context: TestContext,
): Promise<{ readonly addr: string; readonly jobs: readonly string[] }> {
  const jobs: string[] = []
  const server = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      const [line = '', job = ''] = data.toString().split('\r\n')
      if (line.startsWith('put')) {
        jobs.push(job)
      }
      socket.write(line.startsWith('use') ? 'USING chat\r\n' : 'INSERTED 1\r\n')
    })
  })
  keep(context, server)
  return { addr: `127.0.0.1:${server.port}`, jobs }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Waits until the process does not accept connections any more. */
async function refusesConnections(url: string): Promise<void> {
  const { hostname, port } = new URL(url)
  await vi.waitFor(async () => {
    const outcome = await new Promise((resolve) => {
      const socket = connect(Number(port), hostname)
      socket.once('connect', () => resolve('connected'))
      socket.once('error', (error) => resolve('code' in error ? error.code : error))
      socket.once('connect', () => socket.destroy())
    })
    expect(outcome).toBe('ECONNREFUSED')
  }, PATIENCE)
}

/** Waits for a line of the log, and returns it. */
async function logged(deployer: DeployerProcess, msg: string): Promise<Record<string, unknown>> {
  return vi.waitFor(() => {
    const line = deployer.log().find((line) => line.msg === msg)
    expect(line, msg).toBeDefined()
    return line ?? {}
  }, PATIENCE)
}

describe.concurrent('settings', () => {
  test('all errors are written to standard error, the exit status is 1, and nothing listens', async (context) => {
    const deployer = start(context, {
      DOCKER_HOST: 'nonsense',
      BIND: 'nonsense',
      NOTIFY_FLAGS: '{"addr":"h:1","tube":"t","template":"e3suTm9wZX19"}',
    })
    expect((await deployer.ended()).status).toBe(1)
    expect(deployer.output.stdout).toBe('')
    expect(deployer.output.stderr).toMatch(
      /^deployer: cannot start with these settings:\n {2}TOKEN .*\n {2}DOCKER_HOST .*\n {2}NOTIFY_FLAGS\.template .*line 1, column 3.*\n {2}BIND .*\n$/,
    )
  })

  test.for([
    ['that no process can create', '/proc/x', '.*\\(ENOENT.*\\); name a directory .*'],
    ['that others can write to', '', 'other users can write to it \\(mode 0777\\).*'],
  ])('a SPOOL_DIR %s is reported with the other errors', async ([, path, error], context) => {
    const directory = temporaryDirectory(context)
    chmodSync(directory, 0o777)
    const deployer = start(context, { SPOOL_DIR: path || directory })
    expect((await deployer.ended()).status).toBe(1)
    expect(deployer.output.stdout).toBe('')
    expect(deployer.output.stderr).toMatch(
      new RegExp(
        `^deployer: cannot start with these settings:\n {2}TOKEN .*\n {2}SPOOL_DIR is ".*": ${error}\n$`,
      ),
    )
  })

  const MISTAKEN = { addr: '127.0.0.1:1', tube: 't', template: '', event: ['failed'] }

  test('a setting that is probably a mistake is a line of the log', async (context) => {
    const NOTIFY_FLAGS = JSON.stringify(MISTAKEN)
    const env = { TOKEN: LONG, DOCKER_HOST: 'unix:///nonexistent', NOTIFY_FLAGS }
    const running = start(context, env)
    await running.url()
    expect(running.log()[0]).toMatchObject({
      level: 'warn',
      msg: 'setting is probably a mistake',
      setting: 'NOTIFY_FLAGS',
      reason: expect.stringContaining('unknown keys, which are ignored: ["event"]'),
    })
  })

  test.for([
    ['SOME_TOKEN', 'is the example of the README'],
    ['x'.repeat(15), 'is shorter than 16 characters'],
  ])(
    'Deployer starts with the token %s and logs a warning that does not show it',
    async ([TOKEN = '', reason], context) => {
      const deployer = start(context, { TOKEN, DOCKER_HOST: 'unix:///nonexistent' })
      const url = `${await deployer.url()}/services`
      const { body } = await curl('-H', `Authorization: Bearer ${TOKEN}`, url)
      expect(body.code).toBe('engine-unreachable')
      expect(deployer.log().filter(({ setting }) => setting === 'TOKEN')).toMatchObject([
        { level: 'warn', reason: expect.stringContaining(reason ?? '') },
      ])
      expect(deployer.output.stdout).not.toContain(TOKEN)
    },
  )

  test('the token can come from a file', async (context) => {
    const TOKEN_FILE = join(temporaryDirectory(context), 'token')
    writeFileSync(TOKEN_FILE, `${LONG}\n`)
    const deployer = start(context, { TOKEN_FILE, DOCKER_HOST: 'unix:///nonexistent' })
    const url = `${await deployer.url()}/services`
    const { body } = await curl('-H', `Authorization: Bearer ${LONG}`, url)
    expect(body.code).toBe('engine-unreachable')
  })

  test('warnings are written to standard error after errors', async (context) => {
    const NOTIFY_FLAGS = JSON.stringify(MISTAKEN)
    const refused = start(context, { TOKEN: LONG, BIND: 'nonsense', NOTIFY_FLAGS })
    expect((await refused.ended()).status).toBe(1)
    expect(refused.output.stderr).toMatch(
      /^deployer: cannot start with these settings:\n {2}BIND .*\ndeployer: these settings are probably mistakes:\n {2}NOTIFY_FLAGS has unknown keys.*\n$/,
    )
  })

  test('flags take precedence over variables', async (context) => {
    const engine = await startEngine(context)
    const env = { TOKEN: 'other', DOCKER_HOST: 'unix:///nonexistent', BIND: '127.0.0.1:1' }
    const flags = { '--token': 'x', '--docker-host': engine.url }
    const args = [...Object.entries(flags).flat(), '--bind', '127.0.0.1:0']
    const deployer = start(context, env, args)
    expect((await curl(...UPDATE, `${await deployer.url()}/service/blog`)).status).toBe(200)
  })

  test('flags can have one dash, as in the Go program', async (context) => {
    const engine = await startEngine(context)
    const deployer = start(context, { BIND: '127.0.0.1:1' }, [
      ...['-token', 'x', `-docker-host=${engine.url}`, '-bind=127.0.0.1:0'],
      ...['-notify-flags', '{"addr":"127.0.0.1:1","tube":"t","template":"eA=="}'],
    ])
    expect((await curl(...UPDATE, `${await deployer.url()}/service/blog`)).status).toBe(200)
    await logged(deployer, 'messages are not delivered for now')
  })

  test('no output contains a secret, whatever the outcome of a request', async (context) => {
    const engine = await startEngine(context)
    const destinations = [
      { addr: '127.0.0.1:1', tube: 't', template: base64('TEMPLATE-SECRET') },
      { type: 'webhook', url: 'http://127.0.0.1:1/SECRET?SECRET', headers: { a: 'SECRET' } },
    ]
    const deployer = start(context, {
      TOKEN: 'TOKEN-SECRET',
      DOCKER_HOST: engine.url,
      NOTIFY_FLAGS: JSON.stringify(destinations),
    })
    const url = `${await deployer.url()}/service/blog`
    for (const token of ['TOKEN-SECRET', 'Bearer TOKEN-SECRET', 'WRONG-SECRET']) {
      await curl('-X', 'PUT', '-H', `Authorization: ${token}`, '-d', '{"image":"a:1"}', url)
    }
    deployer.kill('SIGTERM')
    await deployer.ended()
    const { stdout, stderr } = deployer.output
    expect(stdout).toContain('invalid-token')
    expect(stdout + stderr).not.toMatch(/SECRET|VEVNUExBVEUtU0VDUkVU/)
  })

  test.for(['--tokn=SECRET', 'serve'])(
    'the unknown argument %s is an error',
    async (arg, context) => {
      const deployer = start(context, { TOKEN: 'x' }, [arg])
      expect((await deployer.ended()).status).toBe(1)
      expect(deployer.output.stderr).toMatch(
        /error: (unknown option '--tokn=…'|too many arguments)/,
      )
      expect(deployer.output.stderr).not.toContain('SECRET')
    },
  )

  test('an address that is in use is an error', async (context) => {
    const { port } = keep(context, await tcpLoopback(() => {}))
    const deployer = start(context, { TOKEN: 'x', BIND: `127.0.0.1:${port}` })
    expect((await deployer.ended()).status).toBe(1)
    expect(deployer.output.stderr).toContain(`cannot listen at BIND 127.0.0.1:${port}`)
  })

  test('without notifications and with an unreachable engine it serves, and logs a line for each', async (context) => {
    const deployer = start(context, { TOKEN: LONG, DOCKER_HOST: 'unix:///nonexistent' })
    const update = UPDATE.map((arg) => arg.replace(/: x$/, `: ${LONG}`))
    const answer = await curl(...update, `${await deployer.url()}/service/blog`)
    expect([answer.status, answer.body.code]).toEqual([503, 'engine-unreachable'])
    expect(answer.headers['retry-after']).toBe('5')
    await vi.waitFor(
      () =>
        expect(
          deployer
            .log()
            .map(({ msg }) => msg)
            .toSorted(),
        ).toEqual([
          'deployment refused',
          'event stream broken',
          'listening',
          'no notifications are configured: NOTIFY_FLAGS is not set',
          'the Docker Engine cannot be used yet',
        ]),
      PATIENCE,
    )
  })

  test('one line at startup lists the destinations of notifications with their events', async (context) => {
    const template = base64('{{.ServiceName}}')
    const destinations = [
      { addr: '127.0.0.1:1', tube: 'chat', template },
      { type: 'webhook', url: 'https://hooks.invalid/SECRET', events: ['failed', 'converged'] },
      { type: 'webhook', url: 'https://hooks.invalid/SECRET', name: 'ops', events: ['refused'] },
    ]
    const deployer = start(context, {
      TOKEN: LONG,
      DOCKER_HOST: 'unix:///nonexistent',
      NOTIFY_FLAGS: JSON.stringify(destinations),
    })
    await deployer.url()
    expect(deployer.log()[0]).toMatchObject({
      level: 'info',
      msg: 'notifications are configured',
      destinations: [
        { name: 'beanstalkd:127.0.0.1:1/chat', events: ['accepted'] },
        { name: 'webhook:https://hooks.invalid', events: ['converged', 'failed'] },
        { name: 'ops', events: ['refused'] },
      ],
    })
    expect(deployer.output.stdout).not.toContain('SECRET')
  })

  test('BIND can be a port without a host, and an IPv6 address', async (context) => {
    const anywhere = start(context, { TOKEN: 'x', BIND: ':0' })
    const loopback = start(context, { TOKEN: 'x', BIND: '[::1]:0' })
    const port = (await anywhere.url()).split(':').at(-1)
    expect((await curl(`http://127.0.0.1:${port}/`)).status).toBe(404)
    expect((await curl('-g', `${await loopback.url()}/`)).status).toBe(404)
  })
})

describe.concurrent('requests', () => {
  test('a path that leaves /service never reaches the engine', async (context) => {
    const engine = await startEngine(context)
    const env = { TOKEN: 'x', DOCKER_HOST: engine.url, HISTORY: 'label' }
    const url = await start(context, env).url()
    // The check of the engine at startup.
    await vi.waitFor(() => expect(engine.requests()).toBe(1), PATIENCE)
    for (const name of [
      '..%2fcontainers%2fjson',
      '../containers/json',
      '%2e%2e',
      '%00',
      '%ff',
      '..',
    ]) {
      const answer = await curl('--path-as-is', ...UPDATE, `${url}/service/${name}`)
      expect([name, answer.status]).toEqual([name, 404])
    }
    expect(engine.requests()).toBe(1)
  })

  test('a body above 64 KiB is 413, with Content-Length or chunked', async (context) => {
    const url = await start(context, { TOKEN: 'x', DOCKER_HOST: 'unix:///nonexistent' }).url()
    const put = ['-X', 'PUT', '-H', 'Authorization: x', '-H', 'Expect:']
    const large = ['-d', 'x'.repeat(70_000)]
    expect((await curl(...put, ...large, `${url}/service/blog`)).body.code).toBe('body-too-large')
    const chunked = ['-H', 'Transfer-Encoding: chunked', ...large]
    expect((await curl(...put, ...chunked, `${url}/service/blog`)).body.code).toBe('body-too-large')
  })

  test('the engine can be reached through a Unix socket', async (context) => {
    const socketPath = join(temporaryDirectory(context), 'docker.sock')
    const engine = createServer(answerAsEngine)
    keep(context, { close: () => engine.close().closeAllConnections() })
    engine.listen(socketPath)
    const deployer = start(context, { TOKEN: 'x', DOCKER_HOST: `unix://${socketPath}` })
    const answer = await curl(...UPDATE, `${await deployer.url()}/service/blog`)
    expect(answer.body).toMatchObject({ service: 'blog', previous: 'me/blog:v1' })
  })
})

describe.concurrent('SIGTERM, SIGINT, SIGHUP and SIGQUIT', () => {
  test.for(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s: requests in progress are answered, their messages are sent, and the exit status is 0',
    async (signal, context) => {
      const engine = await startEngine(context, { holdsUpdates: true })
      const { addr, jobs } = await startBeanstalkd(context)
      const template = base64('{{.ServiceName}} {{.Artifact}}')
      const deployer = start(context, {
        TOKEN: 'x',
        DOCKER_HOST: engine.url,
        NOTIFY_FLAGS: JSON.stringify({ addr, tube: 'chat', template }),
      })
      const url = await deployer.url()
      const inProgress = curl(...UPDATE, `${url}/service/blog`)
      await engine.updated()
      deployer.kill(signal)
      await refusesConnections(url)
      engine.release()
      expect((await inProgress).status).toBe(200)
      expect((await deployer.ended()).status).toBe(0)
      expect(jobs).toEqual(['blog me/blog:v2'])
      expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true, messagesGivenUp: 0 })
    },
  )

  // Without that answer the request would be cut, and `allAnswered` would be false.
  test('a caller that waits for a verdict gets the address at which it can wait again', async (context) => {
    const engine = await startEngine(context)
    const deployer = start(context, { TOKEN: 'x', DOCKER_HOST: engine.url })
    const url = await deployer.url()
    const waiting = curl(...UPDATE, `${url}/service/blog?wait=1h`)
    await engine.updated()
    deployer.kill('SIGTERM')
    const { status, body, headers } = await waiting
    expect([status, body.code, headers['retry-after']]).toEqual([504, 'rollout-pending', '1'])
    expect(headers.location).toBe(`/deployments/${body.deploymentId}`)
    expect((await deployer.ended()).status).toBe(0)
    expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true })
  })

  test('a caller that disconnects does not stop the deployment, its log line or its message', async (context) => {
    const engine = await startEngine(context, { holdsUpdates: true })
    const { addr, jobs } = await startBeanstalkd(context)
    const template = base64('{{.ServiceName}}')
    const deployer = start(context, {
      TOKEN: 'x',
      DOCKER_HOST: engine.url,
      NOTIFY_FLAGS: JSON.stringify({ addr, tube: 'chat', template }),
    })
    const url = await deployer.url()
    const caller = connect(Number(new URL(url).port), '127.0.0.1')
    const body = '{"image":"me/blog:v2"}'
    caller.write(
      `PUT /service/blog HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    await engine.updated()
    caller.destroy()
    deployer.kill('SIGTERM')
    await refusesConnections(url)
    engine.release()
    expect((await deployer.ended()).status).toBe(0)
    expect(jobs).toEqual(['blog'])
    expect(deployer.log().map(({ msg }) => msg)).toContain('deployment accepted')
    expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true, messagesGivenUp: 0 })
  })

  test('further signals have no effect', async (context) => {
    const engine = await startEngine(context, { holdsUpdates: true })
    const deployer = start(context, { TOKEN: 'x', DOCKER_HOST: engine.url })
    const url = await deployer.url()
    const inProgress = curl(...UPDATE, `${url}/service/blog`)
    await engine.updated()
    deployer.kill('SIGINT')
    await logged(deployer, 'shutting down')
    deployer.kill('SIGINT')
    deployer.kill('SIGTERM')
    await refusesConnections(url)
    engine.release()
    expect((await inProgress).status).toBe(200)
    expect((await deployer.ended()).status).toBe(0)
    expect(deployer.log().filter(({ msg }) => msg === 'shutting down')).toHaveLength(1)
  })

  test('an engine that never answers does not keep the process alive', async (context) => {
    const engine = await startEngine(context, { holdsUpdates: true })
    const deployer = start(context, { TOKEN: 'x', DOCKER_HOST: engine.url })
    const url = await deployer.url()
    const inProgress = curl(...UPDATE, `${url}/service/blog`).catch(() => 'cut')
    await engine.updated()
    deployer.kill('SIGTERM')
    expect((await deployer.ended()).status).toBe(0)
    expect(await inProgress).toBe('cut')
    expect(deployer.log().at(-1)).toMatchObject({ msg: 'stopped', allAnswered: false })
  })

  test('the steps of the shutdown together take at most 9 s, less than the 10 s that Docker allows', () => {
    const { requestsMs, messagesMs, spoolMs, logMs, processMs } = SHUTDOWN_LIMITS
    expect(requestsMs + messagesMs + spoolMs + logMs).toBeLessThanOrEqual(processMs)
    expect(processMs).toBe(9000)
  })

  // A connection that the shutdown waited for would be cut at last, and `allAnswered` would be false.
  test('connections without a request do not delay the shutdown', async (context) => {
    const deployer = start(context, { TOKEN: 'x' })
    const { port, hostname } = new URL(await deployer.url())
    const silent = connect(Number(port), hostname)
    const idle = connect(Number(port), hostname)
    for (const socket of [silent, idle]) {
      keep(context, { close: () => void socket.destroy() })
      // Deployer may reset it.
      socket.on('error', () => {})
    }
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await Promise.all([happened(silent, 'connect'), happened(idle, 'data')])
    deployer.kill('SIGTERM')
    expect((await deployer.ended()).status).toBe(0)
    expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true })
  })
})

function happened(socket: Socket, event: 'connect' | 'data'): Promise<void> {
  return new Promise((resolve) => socket.once(event, () => resolve()))
}
