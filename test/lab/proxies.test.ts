// Deployer behind the proxies of docs/ci.md, with TLS and real rollouts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'
import { httpLoopback, type Loopback } from '../support/loopback.ts'
import { ciSteps, runStep } from './ci-steps.ts'
import { ALLOWED, removeServices } from './lab-deployer.ts'
import { type LabProxy, type ProxyOptions, startCaddy, startNginx } from './proxies.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

vi.setConfig({ maxConcurrency: 40 })

const lab = sharedLab()
const { directory } = lab
const TOKEN = 'SECRET-of-the-test'
const KINDS = [
  { kind: 'nginx', startProxy: startNginx },
  { kind: 'Caddy', startProxy: startCaddy },
] as const
const [v1, v2, bad] = ['v1', 'v2', 'bad'].map((tag) => lab.image(`lab/app:${tag}`))
/** For bad images: on a busy machine a task may fail late. It does not delay the rollback. */
const LONG_MONITOR = '--update-monitor=60s'
const closers: (() => Promise<unknown>)[] = []
/** Two Deployers; the second one has the path prefix `/cd`. */
let deployers: readonly DeployerProcess[]
let ports: readonly number[]

beforeAll(async () => {
  const DOCKER_HOST = lab.engine.dockerHost
  deployers = ['', '/cd'].map((BASE_PATH) =>
    startDeployer({ env: { TOKEN, DOCKER_HOST, BASE_PATH } }),
  )
  ports = await Promise.all(
    deployers.map(async (deployer) => Number(new URL(await deployer.url()).port)),
  )
})

afterAll(async () => {
  await Promise.all(closers.map((close) => close()))
  await Promise.all(deployers.map(kill))
  await removeServices(lab.engine)
})

async function kill(deployer: DeployerProcess): Promise<void> {
  const ended = deployer.ended()
  deployer.kill('SIGKILL')
  await ended
}

/** Starts a proxy that is stopped after the tests. */
async function started(
  startProxy: (options: ProxyOptions) => Promise<LabProxy>,
  options: Omit<ProxyOptions, 'directory'>,
): Promise<LabProxy> {
  const proxy = await startProxy({ directory, ...options })
  closers.push(proxy.stop)
  return proxy
}

/** A server that accepts requests and does not respond. */
async function silentServer(): Promise<Loopback & { readonly requests: string[] }> {
  const requests: string[] = []
  const server = await httpLoopback(({ method, url }) => requests.push(`${method} ${url}`))
  closers.push(server.close)
  return { ...server, requests }
}

/** Creates a service whose rollouts take some seconds, unless flags of `docker service create` differ. */
async function createService(...args: readonly string[]): Promise<string> {
  const watch = ['--update-failure-action=rollback', '--update-monitor=3s']
  const { name } = await lab.createService({
    image: `${v1}`,
    labels: ALLOWED,
    args: [...watch, ...args],
  })
  return name
}

async function createRunning(...args: readonly string[]): Promise<string> {
  const name = await createService(...args)
  await lab.waitRunning(name, `${v1}`)
  return name
}

function request(proxy: LabProxy, ...args: readonly string[]): readonly string[] {
  return [...proxy.curlFlags, '-H', `Authorization: Bearer ${TOKEN}`, ...args]
}

function put(
  proxy: LabProxy,
  service: string,
  { image = v2, args = [] }: { readonly image?: string | undefined; readonly args?: string[] } = {},
): Promise<CurlAnswer> {
  const body = JSON.stringify({ image })
  return curl(
    ...request(proxy, ...args, '-X', 'PUT', '-d', body, `${proxy.url}/service/${service}`),
  )
}

/** Requests a `Location`, like a client that follows it. */
function getLocation(proxy: LabProxy, location: string | undefined): Promise<CurlAnswer> {
  return curl(...request(proxy, new URL(`${location}`, proxy.url).href))
}

interface StreamLine {
  readonly line: string
  readonly atMs: number
}

/** Deploys, and records the time of each line of the event stream. */
async function stream(proxy: LabProxy, service: string): Promise<readonly StreamLine[]> {
  const flags = ['-s', '-S', '-N', '-H', 'Accept: text/event-stream', '-X', 'PUT']
  const body = ['-d', JSON.stringify({ image: v2 })]
  const args = request(proxy, ...flags, ...body, `${proxy.url}/service/${service}`)
  const child = spawn('curl', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'close')
  const startedAt = performance.now()
  const lines: StreamLine[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push({ line, atMs: performance.now() - startedAt })
  }
  expect(await exit).toEqual([0, null])
  return lines
}

describe.concurrent.each(KINDS)('behind $kind', ({ startProxy }) => {
  test('verdicts have their status, headers and evidence', async () => {
    const proxy = await started(startProxy, { ports: ports.slice(0, 1) })
    const [good, failing] = await Promise.all([createRunning(), createRunning(LONG_MONITOR)])
    const [converged, pending] = await Promise.all([
      put(proxy, `${good}?wait=80`),
      put(proxy, `${failing}?wait=1`, { image: bad }),
    ])
    expect([converged.status, converged.body.verdict]).toEqual([200, 'converged'])
    expect([pending.status, pending.body.code]).toEqual([504, 'rollout-pending'])
    expect(pending.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '1',
      location: `/deployments/${pending.body.deploymentId}`,
    })
    const failed = await getLocation(proxy, `${pending.headers.location}?wait=80`)
    expect([failed.status, failed.headers['content-type'], failed.body]).toMatchObject([
      424,
      'application/problem+json',
      { verdict: 'rolled-back', tasks: [{ log: expect.stringContaining('no database') }] },
    ])
    const refused = await curl(...proxy.curlFlags, `${proxy.url}/services`)
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('Bearer'),
    ])
  })

  test('events arrive one by one', async () => {
    const proxy = await started(startProxy, { ports: ports.slice(0, 1) })
    const lines = await stream(proxy, await createRunning())
    const events = lines.filter(({ line }) => line.startsWith('event: '))
    expect(events.at(-1)?.line).toBe('event: verdict')
    // The last event arrives after the monitor of three seconds.
    const [first = 0, second = 0, ...later] = events.map(({ atMs }) => atMs)
    expect(later.at(-1)).toBeGreaterThan(first + 3000)
    expect(later.at(-1)).toBeGreaterThan(second + 2500)
  })

  test('below a path prefix that the proxy strips, Location has the prefix', async () => {
    const proxy = await started(startProxy, { ports: ports.slice(1), path: '/cd' })
    const service = await createRunning()
    const accepted = await put(proxy, service)
    const { location } = accepted.headers
    expect([accepted.status, location]).toEqual([
      200,
      `/cd/deployments/${accepted.body.deploymentId}`,
    ])
    const answer = await getLocation(proxy, `${location}?wait=80`)
    expect([answer.status, answer.body.verdict]).toEqual([200, 'converged'])
    expect((await curl(...request(proxy, `${proxy.url}/services`))).status).toBe(200)
    const outside = proxy.url.replace(/\/cd$/, '/services')
    await expect(curl(...request(proxy, '--fail', outside))).rejects.toThrow()
  })

  test('the steps of a CI system work, with the path prefix in DEPLOYER_URL', async () => {
    const proxy = await started(startProxy, { ports: ports.slice(1), path: '/cd' })
    const run = { commit: 'bad', digest: '', token: TOKEN, run: 'through-proxy' }
    for (const name of ['the line alone', 'several Deployers']) {
      const service = await createRunning(LONG_MONITOR)
      const { url, curlConfig } = proxy
      const place = { directory, service, repository: lab.image('lab/app'), url, curlConfig }
      const step = ciSteps[name]?.(run)
      if (step === undefined) throw new Error(`No step "${name}"`)
      const { status, output } = await runStep(step, { ...place, wait: '1' })
      expect(output).toContain('"verdict":"rolled-back"')
      expect(status).not.toBe(0)
    }
  })

  test('when the caller disconnects, the proxy disconnects too', async () => {
    const server = await silentServer()
    const proxy = await started(startProxy, { ports: [server.port] })
    const body = ['-X', 'PUT', '-d', '{}', `${proxy.url}/service/x?wait=80`]
    const child = spawn('curl', request(proxy, '-s', ...body), { stdio: 'ignore' })
    await waitFor('the request', () => server.requests.length === 1)
    expect(server.openConnections()).toBe(1)
    child.kill('SIGKILL')
    await waitFor('the proxy to disconnect', () => server.openConnections() === 0)
  })

  test('when the connection to Deployer is lost, the PUT is not sent to the next one', async () => {
    const requests: string[] = []
    const breaking = () =>
      httpLoopback(({ method, socket }) => {
        requests.push(`${method}`)
        socket.destroy()
      })
    const servers = await Promise.all([breaking(), breaking()])
    closers.push(...servers.map(({ close }) => close))
    const proxy = await started(startProxy, { ports: servers.map(({ port }) => port) })
    const flags = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-X', 'PUT', '-d', '{}']
    const child = spawn('curl', request(proxy, ...flags, `${proxy.url}/service/x`))
    let status = ''
    child.stdout.on('data', (data) => {
      status += data
    })
    await once(child, 'close')
    expect([status, requests]).toEqual(['502', ['PUT']])
  })

  test('with several Deployers in turn a bad image is deployed once', async () => {
    const DOCKER_HOST = lab.engine.dockerHost
    const others = [0, 1].map(() => startDeployer({ env: { TOKEN, DOCKER_HOST } }))
    closers.push(() => Promise.all(others.map(kill)))
    const urls = await Promise.all(others.map((each) => each.url()))
    const edit = (config: string): string =>
      config.replace(/(reverse_proxy .*)\n/, '$1 {\n\t\tlb_policy round_robin\n\t}\n')
    const behind = urls.map((url) => Number(new URL(url).port))
    const proxy = await started(startProxy, { ports: behind, edit })
    const service = await createRunning(LONG_MONITOR)
    const { url, curlConfig } = proxy
    const step = ciSteps['several Deployers']?.({
      ...{ commit: 'bad', digest: '', token: TOKEN, run: '1' },
    })
    if (step === undefined) throw new Error('No such step')
    const repository = lab.image('lab/app')
    const place = { directory, service, repository, url, curlConfig, wait: '1' }
    const { status, output } = await runStep(step, place)
    expect(output).toMatch(/"status":424,.*"verdict":"rolled-back"/)
    expect(status).not.toBe(0)
    const logged = (message: string) =>
      others.flatMap((each) => each.log()).filter(({ msg }) => msg === message)
    await waitFor('the end in a log', () => logged('deployment ended').length > 0)
    expect(logged('deployment accepted')).toHaveLength(1)
  })
})

describe.concurrent('the directives for nginx are necessary', () => {
  test('without proxy_read_timeout a long wait is interrupted, and curl --retry joins the deployment', async () => {
    const edit = (config: string): string => config.replace('timeout 90s', 'timeout 1s')
    const proxy = await started(startNginx, { ports: ports.slice(0, 1), edit })
    const service = await createRunning()
    const key = ['-H', 'Idempotency-Key: one']
    const url = `${proxy.url}/service/${service}?wait=80`
    const body = ['-X', 'PUT', '-d', JSON.stringify({ image: v2 })]
    await expect(curl(...request(proxy, '--fail', ...key, ...body, url))).rejects.toThrow('504')
    const retry = ['--retry', '40', '--retry-delay', '1', '-o', `${directory}/${service}.json`]
    const child = spawn('curl', request(proxy, '-s', '--fail', ...retry, ...key, ...body, url))
    expect(await once(child, 'close')).toEqual([0, null])
    const answer = await put(proxy, service, { args: key })
    expect(answer.body.verdict).toBe('converged')
  })

  test('without proxy_next_upstream off a PUT goes to the next server', async () => {
    const servers = await Promise.all([silentServer(), silentServer()])
    const edit = (config: string): string =>
      config.replace('timeout 90s', 'timeout 1s').replace(/ *proxy_next_upstream off;\n/, '')
    const options = { ports: servers.map(({ port }) => port), edit }
    const proxy = await started(startNginx, options)
    const url = `${proxy.url}/service/x`
    await expect(curl(...request(proxy, '--fail', '-X', 'PUT', url))).rejects.toThrow('504')
    // On a busy machine curl may end before this process has read what nginx sent.
    await waitFor('both servers to get the request', () =>
      servers.every(({ requests }) => requests.length > 0),
    )
    expect(servers.map(({ requests }) => requests)).toEqual([
      ['PUT /service/x'],
      ['PUT /service/x'],
    ])
  })

  test('an event stream is not interrupted by a timeout of 15 s, since it has an event or a comment before', async () => {
    const edit = (config: string): string => config.replace('timeout 90s', 'timeout 15s')
    const proxy = await started(startNginx, { ports: ports.slice(0, 1), edit })
    const nowhere = await createService('--constraint=node.labels.zone==nowhere')
    const lines = await stream(proxy, `${nowhere}?wait=26`)
    const times = lines.map(({ atMs }) => atMs)
    expect(times.at(-1)).toBeGreaterThan(25_000)
    const silences = times.slice(1).map((time, n) => time - (times[n] ?? 0))
    expect(Math.max(...silences)).toBeGreaterThan(9000)
    expect(lines.filter(({ line }) => line === 'event: verdict')).toHaveLength(1)
  })
})

test('the labels for Traefik are valid YAML and belong to one router', () => {
  const blocks = fencedBlocks('docs/ci.md')
  const stack = parse(codeUnder(blocks, 'Traefik', { language: 'yaml' }))
  const more = parse(codeUnder(blocks, 'Under a path', { language: 'yaml' }))
  const names = [...stack.services.deployer.deploy.labels, ...more].map(
    (label: string) =>
      /^traefik\.(?:enable|http\.(?:routers|services)\.(\w+)|http\.middlewares)/.exec(label)?.[1],
  )
  expect(new Set(names)).toEqual(new Set([undefined, 'deployer']))
})
