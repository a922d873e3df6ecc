// Responses of Deployer while the engine cannot update services, for each such state of an engine.

import { describe, expect, type TestContext, test, vi } from 'vitest'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts } from './ports.ts'
import { waitFor } from './wait.ts'

// Each test has a lab of its own, and two labs in the last ones.
vi.setConfig({ maxConcurrency: 4 })

interface Setup {
  readonly lab: Lab
  readonly deployer: DeployerProcess
  put(image?: string, service?: string): Promise<CurlAnswer>
}

/** A lab that is removed when the test ends. */
async function raise({ onTestFinished }: TestContext): Promise<Lab> {
  const lab = await raiseLab()
  onTestFinished(lab.down)
  return lab
}

/** Starts a Deployer that is killed when the test ends. */
function start(DOCKER_HOST: string, { onTestFinished }: TestContext): DeployerProcess {
  const deployer = startDeployer({ env: { TOKEN: 'x', DOCKER_HOST } })
  onTestFinished(() => deployer.kill('SIGKILL'))
  return deployer
}

/** A lab with a service, and a Deployer that uses it. */
async function setUp(context: TestContext): Promise<Setup> {
  const lab = await raise(context)
  const image = lab.image('lab/app:v1')
  const labels = { 'deployer.allowUpdates': 'true' }
  await lab.createService({ name: 'blog', image, labels, replicas: 0 })
  const deployer = start(lab.engine.dockerHost, context)
  const url = await deployer.url()
  return {
    lab,
    deployer,
    put: (to = lab.image('lab/app:v2'), service = 'blog') =>
      curl(
        '-X',
        'PUT',
        '-H',
        'Authorization: x',
        '-d',
        JSON.stringify({ image: to }),
        `${url}/service/${service}`,
      ),
  }
}

describe.concurrent('two managers', () => {
  /** The second lab's engine joins the swarm of the first. */
  async function join(first: Lab, second: Lab): Promise<void> {
    const { text } = await first.engine.request('GET', '/info')
    const { NodeAddr, RemoteManagers } = JSON.parse(text).Swarm
    const token = await first.engine.docker('swarm', 'join-token', '-q', 'manager')
    await second.engine.docker('swarm', 'leave', '--force')
    const [port] = await freePorts(1)
    const address = NodeAddr.replace(/\d+$/, (last: string) => `${(Number(last) % 250) + 1}`)
    const listen = [`--listen-addr=${address}:${port}`, `--advertise-addr=${address}:${port}`]
    await second.engine.docker('swarm', 'join', '--token', token, ...listen, RemoteManagers[0].Addr)
  }

  test('after the loss of one the response is no-quorum, a write in progress is reported as uncertain, and a caller that waits gets the verdict after its return', async (context) => {
    const { lab, put } = await setUp(context)
    const second = await raise(context)
    await join(lab, second)
    const { Swarm } = JSON.parse((await lab.engine.request('GET', '/info')).text)
    const [v1, v2] = [lab.image('lab/app:v1'), lab.image('lab/app:v2')]
    const labels = { 'deployer.allowUpdates': 'true' }
    const args = [`--constraint=node.id==${Swarm.NodeID}`, '--update-monitor=10s']
    await lab.createService({ name: 'waited-for', image: v1, labels, args })
    await lab.waitRunning('waited-for', v1)
    expect((await put(v2)).status).toBe(200)
    const waiting = put(v2, 'waited-for?wait=150')
    await lab.waitRunning('waited-for', v2)
    await second.engine.kill()
    const lost = await put(lab.image('lab/app:v3'))
    expect([lost.status, lost.body.code]).toEqual([503, 'no-quorum'])
    expect(lost.body.detail).toContain('the update may have been applied nevertheless')
    expect(lost.headers['retry-after']).toBeUndefined()
    const later = await waitFor('the manager to lose its leadership', async () => {
      const answer = await put(lab.image('lab/app:v3'))
      return answer.headers['retry-after'] !== undefined && answer
    })
    expect([later.status, later.body.code]).toEqual([503, 'no-quorum'])
    expect(later.headers['retry-after']).toBe('15')
    await second.engine.start()
    const { status, body } = await waiting
    expect([status, body.verdict]).toEqual([200, 'converged'])
  })

  test('an engine that was demoted is not-a-manager', async (context) => {
    const { lab } = await setUp(context)
    const second = await raise(context)
    await join(lab, second)
    const { text } = await second.engine.request('GET', '/info')
    await lab.engine.docker('node', 'demote', JSON.parse(text).Swarm.NodeID)
    const worker = createDockerodeSwarm({ dockerHost: second.engine.dockerHost })
    const error = await waitFor('the engine to be a worker', () =>
      worker.inspectService('blog').then(
        () => undefined,
        (reason) => (/Worker nodes/.test(reason.message) ? reason : undefined),
      ),
    )
    expect(error).toMatchObject({ code: 'not-a-manager', retryAfterSeconds: undefined })
  })
})

test.concurrent('a stopped engine is engine-unreachable, and works after its start without a restart of Deployer', async (context) => {
  const { lab, put } = await setUp(context)
  await lab.engine.kill()
  const { status, body, headers } = await put()
  expect([status, body.code, headers['retry-after']]).toEqual([503, 'engine-unreachable', '5'])
  expect(body.detail).toMatch(/ECONNREFUSED|ENOENT/)
  await lab.engine.start()
  expect((await put()).status).toBe(200)
})

test.concurrent('a locked swarm is swarm-locked, without Retry-After', async (context) => {
  const { lab, put } = await setUp(context)
  await lab.engine.docker('swarm', 'update', '--autolock')
  await lab.engine.stop()
  // A locked swarm does not become ready.
  void lab.engine.start().catch(() => {})
  const answer = await waitFor('the engine to be locked', async () => {
    const answer = await put()
    return answer.body.code !== 'engine-unreachable' && answer
  })
  expect([answer.status, answer.body.code]).toEqual([503, 'swarm-locked'])
  expect(answer.headers['retry-after']).toBeUndefined()
  expect(answer.body.detail).toContain('docker swarm unlock')
})

test.concurrent('an engine without a swarm is not-a-manager, and the log has a warning at startup', async (context) => {
  const { lab, put } = await setUp(context)
  await lab.engine.docker('swarm', 'leave', '--force')
  const { status, body, headers } = await put()
  expect([status, body.code]).toEqual([503, 'not-a-manager'])
  expect(headers['retry-after']).toBeUndefined()
  const late = start(lab.engine.dockerHost, context)
  await late.url()
  const hasReason = () => `${late.log().at(-1)?.reason}`.includes('not a swarm manager')
  await waitFor('the log line', hasReason)
})

test.concurrent('an address of another kind of server is engine-error', async (context) => {
  const { lab } = await setUp(context)
  const deployer = start(`tcp://${lab.registry.address}`, context)
  const put = ['-X', 'PUT', '-H', 'Authorization: x', '-d', '{"image":"a:1"}']
  const { status, body } = await curl(...put, `${await deployer.url()}/service/blog`)
  expect([status, body.code]).toEqual([502, 'engine-error'])
})

test.concurrent("an update that the engine rejects is engine-error with the engine's message", async (context) => {
  const { lab } = await setUp(context)
  const swarm = createDockerodeSwarm({ dockerHost: lab.engine.dockerHost })
  const service = await swarm.inspectService('blog')
  await expect(
    swarm.updateService(service, { ...service.Spec, Name: 'renamed' }),
  ).rejects.toMatchObject({ code: 'engine-error', message: expect.stringContaining('renaming') })
})
