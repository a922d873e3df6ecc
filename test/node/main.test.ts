// The entry as a process: settings, what it prints, and how it ends.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
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
// The shortest token that comes without a warning.
const LONG = 'x'.repeat(16)
const UPDATE = ['-X', 'PUT', '-H', 'Authorization: x', '-d', '{"image":"me/blog:v2"}']

const opened: { kill?(signal: NodeJS.Signals): void; close?(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0)) {
    thing.kill?.('SIGKILL')
    await thing.close?.()
  }
})

function keep<T extends (typeof opened)[number]>(thing: T): T {
  opened.push(thing)
  return thing
}

/** Answers as an engine whose one service never changes; it takes its time for updates. */
function answerAsEngine(
  { method, url = '' }: IncomingMessage,
  response: ServerResponse,
  updateMs: number,
): void {
  if (url.startsWith('/events')) {
    // Nothing ever happens.
    response.flushHeaders()
  } else if (method === 'POST') {
    setTimeout(() => response.end('{}'), updateMs)
  } else {
    const image = { Descriptor: { digest: DIGEST }, Platforms: [] }
    response.end(JSON.stringify(url.startsWith('/distribution') ? image : SERVICE))
  }
}

async function slowEngine(updateMs: number): Promise<Loopback> {
  return keep(
    await httpLoopback((request, response) => answerAsEngine(request, response, updateMs)),
  )
}

function start(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): DeployerProcess {
  return keep(startDeployer({ env, args }))
}

describe('settings', () => {
  test('every fault is on standard error at once, the exit status is 1, and nothing listened', async () => {
    const deployer = start({
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

  test.each([
    ['that no process can create', '/proc/x', '.*\\(ENOENT.*\\); name a directory .*'],
    ['that others can write to', '', 'other users can write to it \\(mode 0777\\).*'],
  ])(
    'a SPOOL_DIR %s is told with the other faults',
    async (_, path, fault) => {
      const directory = mkdtempSync(join(tmpdir(), 'deployer-main-'))
      keep({ close: async () => rmSync(directory, { recursive: true }) })
      chmodSync(directory, 0o777)
      const deployer = start({ SPOOL_DIR: path || directory })
      expect((await deployer.ended()).status).toBe(1)
      expect(deployer.output.stdout).toBe('')
      expect(deployer.output.stderr).toMatch(
        new RegExp(
          `^deployer: cannot start with these settings:\n {2}TOKEN .*\n {2}SPOOL_DIR is ".*": ${fault}\n$`,
        ),
      )
    },
    60_000,
  )

  const MISTAKEN = { addr: '127.0.0.1:1', tube: 't', template: '', event: ['failed'] }

  test('a setting that is probably a mistake is a line of the log', async () => {
    const NOTIFY_FLAGS = JSON.stringify(MISTAKEN)
    const running = start({ TOKEN: LONG, DOCKER_HOST: 'unix:///nonexistent', NOTIFY_FLAGS })
    await running.url()
    expect(running.log()[0]).toMatchObject({
      level: 'warn',
      msg: 'setting is probably a mistake',
      setting: 'NOTIFY_FLAGS',
      reason: expect.stringContaining('unknown keys, which are ignored: ["event"]'),
    })
  })

  test.each([
    ['SOME_TOKEN', 'is the example of the README'],
    ['x'.repeat(15), 'is shorter than 16 characters'],
  ])('the token %s starts, with a warning that does not show it', async (TOKEN, reason) => {
    const deployer = start({ TOKEN, DOCKER_HOST: 'unix:///nonexistent' })
    const url = `${await deployer.url()}/services`
    const { body } = await curl('-H', `Authorization: Bearer ${TOKEN}`, url)
    expect(body.code).toBe('engine-unreachable')
    expect(deployer.log().filter(({ setting }) => setting === 'TOKEN')).toMatchObject([
      { level: 'warn', reason: expect.stringContaining(reason) },
    ])
    expect(deployer.output.stdout).not.toContain(TOKEN)
  })

  test('a setting that is probably a mistake stands below the faults', async () => {
    const NOTIFY_FLAGS = JSON.stringify(MISTAKEN)
    const refused = start({ TOKEN: LONG, BIND: 'nonsense', NOTIFY_FLAGS })
    expect((await refused.ended()).status).toBe(1)
    expect(refused.output.stderr).toMatch(
      /^deployer: cannot start with these settings:\n {2}BIND .*\ndeployer: these settings are probably mistakes:\n {2}NOTIFY_FLAGS has unknown keys.*\n$/,
    )
  })

  test('flags win over variables', async () => {
    const engine = await slowEngine(0)
    const env = { TOKEN: 'other', DOCKER_HOST: 'unix:///nonexistent', BIND: '127.0.0.1:1' }
    const flags = { '--token': 'x', '--docker-host': `tcp://127.0.0.1:${engine.port}` }
    const deployer = start(env, [...Object.entries(flags).flat(), '--bind', '127.0.0.1:0'])
    expect((await curl(...UPDATE, `${await deployer.url()}/service/blog`)).status).toBe(200)
  })

  test('flags with one dash, as the Go program took them, work', async () => {
    const engine = await slowEngine(0)
    const deployer = start({ BIND: '127.0.0.1:1' }, [
      ...['-token', 'x', `-docker-host=tcp://127.0.0.1:${engine.port}`, '-bind=127.0.0.1:0'],
      ...['-notify-flags', '{"addr":"127.0.0.1:1","tube":"t","template":"eA=="}'],
    ])
    expect((await curl(...UPDATE, `${await deployer.url()}/service/blog`)).status).toBe(200)
    await expect
      .poll(() => deployer.log().map(({ msg }) => msg))
      .toContain('messages are not delivered for now')
  })

  test('secrets are in no line, whatever is asked and however it goes', async () => {
    const engine = await slowEngine(0)
    const template = Buffer.from('TEMPLATE-SECRET').toString('base64')
    const deployer = start({
      TOKEN: 'TOKEN-SECRET',
      DOCKER_HOST: `tcp://127.0.0.1:${engine.port}`,
      NOTIFY_FLAGS: JSON.stringify({ addr: '127.0.0.1:1', tube: 't', template }),
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

  test('an unknown flag or argument is refused', async () => {
    for (const arg of ['--tokn=SECRET', 'serve']) {
      const deployer = start({ TOKEN: 'x' }, [arg])
      expect((await deployer.ended()).status).toBe(1)
      expect(deployer.output.stderr).toMatch(
        /error: (unknown option '--tokn=…'|too many arguments)/,
      )
      expect(deployer.output.stderr).not.toContain('SECRET')
    }
  })

  test('an address that is taken is told, with status 1', async () => {
    const { port } = keep(await tcpLoopback(() => {}))
    const deployer = start({ TOKEN: 'x', BIND: `127.0.0.1:${port}` })
    expect((await deployer.ended()).status).toBe(1)
    expect(deployer.output.stderr).toContain(`cannot listen at BIND 127.0.0.1:${port}`)
  })

  test('an engine that is away at start, and nobody to notify, are a line each, and it serves', async () => {
    const deployer = start({ TOKEN: LONG, DOCKER_HOST: 'unix:///nonexistent' })
    const update = UPDATE.map((arg) => arg.replace(/: x$/, `: ${LONG}`))
    const answer = await curl(...update, `${await deployer.url()}/service/blog`)
    expect([answer.status, answer.body.code]).toEqual([503, 'engine-unreachable'])
    expect(answer.headers['retry-after']).toBe('5')
    const messages = (): unknown[] => deployer.log().map(({ msg }) => msg)
    await expect
      .poll(messages)
      .toEqual([
        'NOTIFY_FLAGS is not set: nobody is notified',
        'listening',
        'the Docker Engine cannot be used yet',
        'deployment refused',
      ])
  })

  test('BIND may be a port alone, and an IPv6 address', async () => {
    const anywhere = start({ TOKEN: 'x', BIND: ':0' })
    const port = (await anywhere.url()).split(':').at(-1)
    expect((await curl(`http://127.0.0.1:${port}/`)).status).toBe(404)
    const loopback = start({ TOKEN: 'x', BIND: '[::1]:0' })
    expect((await curl('-g', `${await loopback.url()}/`)).status).toBe(404)
  })
})

test('paths that would leave /service never reach the engine, whatever curl sends', async () => {
  let calls = 0
  const engine = keep(
    await httpLoopback((_, response) => {
      calls += 1
      response.end(JSON.stringify(SERVICE))
    }),
  )
  const env = { TOKEN: 'x', DOCKER_HOST: `tcp://127.0.0.1:${engine.port}` }
  const url = await start(env).url()
  await expect.poll(() => calls).toBe(1) // the look at the engine at start
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
  expect(calls).toBe(1)
})

test('a body above 64 KiB is 413, and the connection goes on or ends cleanly', async () => {
  const url = await start({ TOKEN: 'x', DOCKER_HOST: 'unix:///nonexistent' }).url()
  const put = ['-X', 'PUT', '-H', 'Authorization: x', '-H', 'Expect:']
  const large = ['-d', 'x'.repeat(70_000)]
  expect((await curl(...put, ...large, `${url}/service/blog`)).body.code).toBe('body-too-large')
  const chunked = ['-H', 'Transfer-Encoding: chunked', ...large]
  expect((await curl(...put, ...chunked, `${url}/service/blog`)).body.code).toBe('body-too-large')
})

describe('SIGTERM, SIGINT, SIGHUP and SIGQUIT', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s: what is in flight is answered, its message is put, then status 0',
    async (signal) => {
      let isWritten = false
      const engine = keep(
        await httpLoopback((request, response) => {
          isWritten ||= request.method === 'POST'
          answerAsEngine(request, response, 700)
        }),
      )
      const jobs: string[] = []
      const beanstalkd = keep(await slowBeanstalkd(300, jobs))
      const deployer = start({
        TOKEN: 'x',
        DOCKER_HOST: `tcp://127.0.0.1:${engine.port}`,
        NOTIFY_FLAGS: JSON.stringify({
          addr: `127.0.0.1:${beanstalkd.port}`,
          tube: 'chat',
          template: Buffer.from('{{.ServiceName}} {{.Artifact}}').toString('base64'),
        }),
      })
      const url = await deployer.url()
      const inFlight = curl(...UPDATE, `${url}/service/blog`)
      await expect.poll(() => isWritten, { timeout: 10_000 }).toBe(true)
      deployer.kill(signal)
      const ended = deployer.ended()
      await expect.poll(() => curl(`${url}/`).catch(() => 'refused')).toBe('refused')
      expect((await inFlight).status).toBe(200)
      expect(await ended).toMatchObject({ status: 0 })
      expect(jobs).toEqual(['blog me/blog:v2'])
      expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true, messagesGivenUp: 0 })
    },
  )

  test('whoever waits for a verdict is told at once where to ask on', async () => {
    let isWritten = false
    const engine = keep(
      await httpLoopback((request, response) => {
        isWritten ||= request.method === 'POST'
        answerAsEngine(request, response, 0)
      }),
    )
    const deployer = start({ TOKEN: 'x', DOCKER_HOST: `tcp://127.0.0.1:${engine.port}` })
    const url = await deployer.url()
    const inFlight = curl(...UPDATE, `${url}/service/blog?wait=50`)
    await expect.poll(() => isWritten).toBe(true)
    deployer.kill('SIGTERM')
    const ended = deployer.ended()
    const { status, body, headers } = await inFlight
    expect([status, body.code, headers['retry-after']]).toEqual([504, 'rollout-pending', '1'])
    expect(headers.location).toBe(`/deployments/${body.deploymentId}`)
    expect((await ended).tookMs).toBeLessThan(2000)
  })

  test('a caller who hung up does not stop the deployment, its log line or its message', async () => {
    const engine = await slowEngine(1500)
    const jobs: string[] = []
    const beanstalkd = keep(await slowBeanstalkd(10, jobs))
    const template = Buffer.from('{{.ServiceName}}').toString('base64')
    const addr = `127.0.0.1:${beanstalkd.port}`
    const deployer = start({
      TOKEN: 'x',
      DOCKER_HOST: `tcp://127.0.0.1:${engine.port}`,
      NOTIFY_FLAGS: JSON.stringify({ addr, tube: 'chat', template }),
    })
    const url = await deployer.url()
    await expect(curl('-m', '0.3', ...UPDATE, `${url}/service/blog`)).rejects.toThrow()
    deployer.kill('SIGTERM')
    expect(await deployer.ended()).toMatchObject({ status: 0 })
    expect(jobs).toEqual(['blog'])
    expect(deployer.log().map(({ msg }) => msg)).toContain('deployment accepted')
    expect(deployer.log().at(-1)).toMatchObject({ allAnswered: true, messagesGivenUp: 0 })
  })

  test('a second signal changes nothing', async () => {
    const engine = await slowEngine(800)
    const deployer = start({ TOKEN: 'x', DOCKER_HOST: `tcp://127.0.0.1:${engine.port}` })
    const inFlight = curl(...UPDATE, `${await deployer.url()}/service/blog`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) {
      deployer.kill(signal)
    }
    expect((await inFlight).status).toBe(200)
    expect(await deployer.ended()).toMatchObject({ status: 0 })
  })

  test('an engine and a beanstalkd that never answer hold it up for less than 9 s', async () => {
    let isUpdating = false
    const engine = keep(
      await httpLoopback((request, response) => {
        isUpdating ||= request.method === 'POST'
        answerAsEngine(request, response, 60_000)
      }),
    )
    const deployer = start({ TOKEN: 'x', DOCKER_HOST: `tcp://127.0.0.1:${engine.port}` })
    const url = await deployer.url()
    const inFlight = curl(...UPDATE, `${url}/service/blog`).catch(() => 'cut')
    await vi.waitFor(() => expect(isUpdating).toBe(true), 10_000)
    deployer.kill('SIGTERM')
    const { status, tookMs } = await deployer.ended()
    expect(status).toBe(0)
    expect(tookMs).toBeLessThan(9000)
    expect(await inFlight).toBe('cut')
    expect(deployer.log().at(-1)).toMatchObject({ allAnswered: false })
  }, 30_000)

  test('idle kept-alive connections, and one that never sends, do not hold it up', async () => {
    const deployer = start({ TOKEN: 'x' })
    const url = new URL(await deployer.url())
    const sockets: Socket[] = [connect(Number(url.port), url.hostname)]
    sockets.push(connect(Number(url.port), url.hostname).end('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    for (const socket of sockets) {
      // Deployer may cut it.
      socket.on('error', () => {})
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    deployer.kill('SIGTERM')
    const { status, tookMs } = await deployer.ended()
    expect(status).toBe(0)
    expect(tookMs).toBeLessThan(3000)
    for (const socket of sockets) {
      socket.destroy()
    }
  }, 15_000)
})

async function slowBeanstalkd(delayMs: number, jobs: string[]): Promise<Loopback> {
  return tcpLoopback((socket) => {
    socket.on('data', (data) => {
      const [line = '', job = ''] = data.toString().split('\r\n')
      if (line.startsWith('put')) {
        jobs.push(job)
      }
      const reply = line.startsWith('use') ? 'USING chat\r\n' : 'INSERTED 1\r\n'
      setTimeout(() => socket.write(reply), delayMs)
    })
  })
}

test('a unix socket is reached', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deployer-'))
  const socketPath = join(folder, 'docker.sock')
  const engine = createServer((request, response) => answerAsEngine(request, response, 0))
  engine.listen(socketPath)
  const env = { TOKEN: 'x', DOCKER_HOST: `unix://${socketPath}` }
  const answer = await curl(...UPDATE, `${await start(env).url()}/service/blog`)
  expect(answer.body).toMatchObject({ service: 'blog', previous: 'me/blog:v1' })
  engine.close()
  engine.closeAllConnections()
  rmSync(folder, { recursive: true })
})
