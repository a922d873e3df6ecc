// Deployments with curl on a real engine, with a registry and beanstalkd.

import { mkdtemp, rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../support/deployer-process.ts'
import { createBeanstalkd } from './beanstalkd.ts'
import { ALLOWED, settledBytes } from './lab-deployer.ts'
import { pushCopies } from './manifests.ts'
import { freePorts } from './ports.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()
const TEMPLATE = '{"msg": "Deployed {{.ServiceName}} as {{.Artifact}}"}'
const [v1, v2] = [lab.image('lab/app:v1'), lab.image('lab/app:v2')]

let deployer: DeployerProcess
let url: string

function notifyFlags(tube: string, options: object = {}): string {
  const template = Buffer.from(TEMPLATE).toString('base64')
  return JSON.stringify({ addr: lab.beanstalkd.address, tube, template, ...options })
}

function start(env: Readonly<Record<string, string>>): DeployerProcess {
  return startDeployer({
    env: { TOKEN: 'SOME_TOKEN', DOCKER_HOST: lab.engine.dockerHost, ...env },
  })
}

/** The command of the README. */
function deploy(service: string, image: string, at: string = url): Promise<CurlAnswer> {
  const body = JSON.stringify({ image })
  return curl(
    '--header',
    'Authorization: SOME_TOKEN',
    '-X',
    'PUT',
    '-d',
    body,
    `${at}/service/${service}`,
  )
}

async function inspect(service: string): Promise<{ raw: string; service: InspectedService }> {
  const { text } = await lab.engine.request('GET', `/services/${service}`)
  return { raw: text, service: JSON.parse(text) }
}

async function pinned(name: string): Promise<string> {
  return `${lab.image(name)}@${await lab.registry.digest(name)}`
}

interface InspectedService {
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly TaskTemplate: { readonly ContainerSpec: { readonly Image: string } } }
  readonly PreviousSpec?: object
  readonly UpdateStatus?: { readonly State: string }
}

beforeAll(async () => {
  deployer = start({ NOTIFY_FLAGS: notifyFlags('deployments') })
  url = await deployer.url()
})

afterAll(() => deployer.kill('SIGKILL'))

test('one curl command deploys the new image and puts a job into the tube', async () => {
  const labels = ALLOWED
  const { id } = await lab.createService({ name: 'blog', image: v1, labels, replicas: 2 })
  await lab.waitRunning('blog', v1, 2)
  const answer = await deploy('blog', v2)
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
  expect(answer.body).toEqual({
    verdict: 'accepted',
    deploymentId: expect.stringMatching(/^[\w-]+$/),
    service: 'blog',
    serviceId: id,
    image: v2,
    resolved: await pinned('lab/app:v2'),
    previous: await pinned('lab/app:v1'),
    startedAt: expect.any(String),
  })
  expect(answer.headers.location).toBe(`/deployments/${answer.body.deploymentId}`)
  await lab.waitRunning('blog', v2, 2)
  const job = await lab.beanstalkd.reserve('deployments')
  expect(job.body.toString()).toBe(`{"msg": "Deployed blog as ${v2}"}`)
  expect(job.stats).toEqual({ pri: 10, delay: 0, ttr: 60 })
})

test('priority, delay and TTR of the job are those of NOTIFY_FLAGS', async () => {
  await lab.createService({ name: 'tuned', image: v1, labels: ALLOWED, replicas: 0 })
  const NOTIFY_FLAGS = notifyFlags('tuned', { priority: 4_294_967_295, delay: 1, ttr: 7 })
  const tuned = start({ NOTIFY_FLAGS })
  await deploy('tuned', v2, await tuned.url())
  const { stats } = await lab.beanstalkd.reserve('tuned')
  expect(stats).toEqual({ pri: 4_294_967_295, delay: 1, ttr: 7 })
  tuned.kill('SIGKILL')
})

test('an update changes no byte of a rich spec except the image, its platforms and the labels of Deployer', async () => {
  await createRichService('rich')
  await settledBytes(lab.engine, 'rich')
  const before = await inspect('rich')
  expect((await deploy('rich', v2)).status).toBe(200)
  await lab.beanstalkd.reserve('deployments')
  const after = await inspect('rich')
  const rawSpec = (raw: string): string => {
    const start = raw.indexOf('"Spec":')
    const end =
      raw.indexOf(',"PreviousSpec":') >= 0
        ? raw.indexOf(',"PreviousSpec":')
        : raw.indexOf(',"Endpoint":')
    return raw.slice(start, end)
  }
  const image = JSON.stringify(before.service.Spec.TaskTemplate.ContainerSpec.Image)
  const record =
    /"deployer.deployments":"\d+\/20[\d-]+T[\d:.]+Z\/\/\/[0-9a-f]{8}","deployer.requestedAt":"20[\d-]+T[\d:.]+Z"/.exec(
      after.raw,
    )?.[0]
  const allowed = '"deployer.allowUpdates":"true"'
  const changes: readonly (readonly [string, string])[] = [
    [image, JSON.stringify(await pinned('lab/app:v2'))],
    [',{"Architecture":"s390x","OS":"linux"}', ''],
    [allowed, `${allowed},${record}`],
  ]
  const expected = changes.reduce((text, [from, to]) => {
    expect(text.split(from)).toHaveLength(2)
    return text.replace(from, to)
  }, rawSpec(before.raw))
  expect(rawSpec(before.raw)).toContain('9223372036854775807')
  expect(rawSpec(after.raw)).toBe(expected)
  expect(rawSpec(after.raw).length).toBeGreaterThan(2500)
})

test('the image that the service has already is unchanged with a message, and the service keeps PreviousSpec', async () => {
  await lab.createService({ name: 'same', image: v1, labels: ALLOWED, replicas: 1 })
  const first = await deploy('same?wait=150', v2)
  expect([first.status, first.body.verdict]).toEqual([200, 'converged'])
  await lab.beanstalkd.reserve('deployments')
  const before = await inspect('same')
  const answer = await deploy('same', v2)
  const resolved = await pinned('lab/app:v2')
  expect(answer.body).toMatchObject({ verdict: 'unchanged', image: v2, resolved })
  expect((await inspect('same')).raw).toBe(before.raw)
  expect(before.service.PreviousSpec).toBeDefined()
  expect((await lab.beanstalkd.reserve('deployments')).body.toString()).toContain('Deployed same')
})

test('of 50 concurrent deployments of one service each is written or superseded, the last one stays, and each written one has a message', async () => {
  await lab.createService({ name: 'busy', image: v1, labels: ALLOWED, replicas: 0 })
  const tags = Array.from({ length: 50 }, (_, n) => `busy${n}`)
  await pushCopies(lab.registry.address, 'lab/app:v2', tags)
  const images = tags.map((tag) => lab.image(`lab/app:${tag}`))
  const answers = await Promise.all(images.map((image) => deploy('busy', image)))
  const verdicts = answers.map(({ status, body }) => `${status} ${body.verdict}`)
  // Without tasks a rollout has converged as soon as it is written.
  expect([...new Set(verdicts)].toSorted()).toEqual(['200 converged', '409 superseded'])
  const written = answers.filter(({ status }) => status === 200).map(({ body }) => body)
  const [last] = written.toSorted((a, b) => (`${a.startedAt}` < `${b.startedAt}` ? 1 : -1))
  const { Image } = (await inspect('busy')).service.Spec.TaskTemplate.ContainerSpec
  expect(last?.resolved).toBe(Image)
  const messages: string[] = []
  for (const _ of written) {
    messages.push((await lab.beanstalkd.reserve('deployments')).body.toString())
  }
  expect(messages.toSorted()).toEqual(
    written.map(({ image }) => `{"msg": "Deployed busy as ${image}"}`).toSorted(),
  )
})

describe('refused because of the service', () => {
  test('an unknown name, a prefix of an ID and an ambiguous prefix are service-not-found', async () => {
    const ids: string[] = []
    for (const name of ['prefix1', 'prefix2', 'prefix3', 'prefix4', 'prefix5', 'prefix6']) {
      ids.push((await lab.createService({ name, image: v1, labels: ALLOWED, replicas: 0 })).id)
    }
    for (const name of ['nosuch', ids[0]?.slice(0, -2), 'prefix', 'Blog', ids[0]?.slice(0, 1)]) {
      const { status, body } = await deploy(`${name}`, v2)
      expect([name, status, body.code]).toEqual([name, 404, 'service-not-found'])
    }
  })

  test('a full ID is accepted, and the response has the name', async () => {
    const { id } = await lab.createService({
      name: 'by_id',
      image: v1,
      labels: ALLOWED,
      replicas: 0,
    })
    expect((await deploy(id, v2)).body).toMatchObject({ service: 'by_id', serviceId: id })
    expect((await lab.beanstalkd.reserve('deployments')).body.toString()).toContain(
      'Deployed by_id',
    )
  })

  test('a service without the label is not changed, and the command in the response makes it updatable', async () => {
    await lab.createService({ name: 'closed', image: v1, replicas: 0 })
    const raw = await settledBytes(lab.engine, 'closed')
    const { status, body } = await deploy('closed', v2)
    expect([status, body.code]).toEqual([403, 'updates-not-allowed'])
    expect((await inspect('closed')).raw).toBe(raw)
    const remedy = String(body.detail).split('run: docker ')[1]?.split(' ') ?? []
    await lab.engine.docker(...remedy.slice(0, 2), '--detach', ...remedy.slice(2))
    expect((await deploy('closed', v2)).status).toBe(200)
    await lab.beanstalkd.reserve('deployments')
  })

  test('a refused deployment puts no job', async () => {
    expect(await lab.beanstalkd.countJobs('deployments')).toBe(0)
  })
})

describe('when beanstalkd does not accept the message', () => {
  const NOT_DELIVERED = 'messages are not delivered for now'
  const GIVEN_UP = 'message not delivered'

  /** Deploys, and waits for the log line that has the reason of the failed delivery. */
  async function deployWith(
    NOTIFY_FLAGS: string,
    { message, reason }: { readonly message: string; readonly reason: RegExp },
  ): Promise<DeployerProcess> {
    const name = `undelivered${Math.random().toString(36).slice(2)}`
    await lab.createService({ name, image: v1, labels: ALLOWED, replicas: 0 })
    const process = start({ NOTIFY_FLAGS })
    expect((await deploy(name, v2, await process.url())).status).toBe(200)
    const { Image } = (await inspect(name)).service.Spec.TaskTemplate.ContainerSpec
    expect(Image).toBe(await pinned('lab/app:v2'))
    const lines = (): readonly Record<string, unknown>[] =>
      process.log().filter(({ msg }) => msg === message)
    await waitFor('the log line', () => lines().length > 0)
    expect(lines()).toHaveLength(1)
    expect(lines()[0]?.reason).toMatch(/tube "undelivered" of beanstalkd at 127/)
    expect(lines()[0]?.reason).toMatch(reason)
    return process
  }

  test('because it is down, the message is delivered after its start', async () => {
    const [port = 0] = await freePorts(1)
    const flags = notifyFlags('undelivered', { addr: `127.0.0.1:${port}` })
    const process = await deployWith(flags, { message: NOT_DELIVERED, reason: /ECONNREFUSED/ })
    const directory = await mkdtemp(`${lab.directory}/down-`)
    const beanstalkd = await createBeanstalkd(directory, port)
    await beanstalkd.start()
    expect((await beanstalkd.reserve('undelivered', 31)).body.toString()).toContain(
      'Deployed undelivered',
    )
    await waitFor(
      'the log line',
      () => process.log().at(-1)?.msg === 'messages are delivered again',
    )
    await beanstalkd.kill()
    await rm(directory, { recursive: true })
  })

  test('because the job is too big, delivery is given up', async () => {
    const template = Buffer.from('x'.repeat(70_000)).toString('base64')
    const flags = notifyFlags('undelivered', { template })
    await deployWith(flags, { message: GIVEN_UP, reason: /"JOB_TOO_BIG"/ })
  })

  test('because it is draining, delivery is tried again later', async () => {
    const directory = await mkdtemp(`${lab.directory}/draining-`)
    const [port = 0] = await freePorts(1)
    const beanstalkd = await createBeanstalkd(directory, port)
    await beanstalkd.start()
    beanstalkd.signal('SIGUSR1')
    const flags = notifyFlags('undelivered', { addr: beanstalkd.address })
    await deployWith(flags, { message: NOT_DELIVERED, reason: /"DRAINING"/ })
    await beanstalkd.kill()
    await rm(directory, { recursive: true })
  })
})

/** Uses the API, since the CLI does not support every member. No task has to run: 0 replicas. */
async function createRichService(name: string): Promise<void> {
  const secret = await create('/secrets/create', { Name: `${name}-secret`, Data: 'c2VjcmV0' })
  const config = await create('/configs/create', { Name: `${name}-config`, Data: 'Y29uZmln' })
  await create('/services/create', {
    Name: name,
    Labels: { ...ALLOWED, '10': 'ten', '9': 'nine', 'traefik.rule': 'Host(`a`) && Path("<b>")' },
    TaskTemplate: {
      ContainerSpec: {
        Image: v1,
        Labels: { 'com.example': 'container' },
        Command: ['sh', '-c'],
        Args: ['sleep 1'],
        Hostname: '{{.Node.Hostname}}',
        Env: ['A=1', 'EMPTY=', 'UNICODE=ä😀', 'HTML=<&>', 'LINES=a\nb'],
        Dir: '/tmp',
        User: '1000:1000',
        Groups: ['100'],
        Privileges: {
          CredentialSpec: null,
          SELinuxContext: { Disable: false, User: 'u', Role: 'r', Type: 't', Level: 'l' },
        },
        TTY: true,
        OpenStdin: true,
        ReadOnly: true,
        Mounts: [
          {
            Type: 'bind',
            Source: '/tmp',
            Target: '/host',
            ReadOnly: true,
            BindOptions: { Propagation: 'rprivate' },
          },
          { Type: 'tmpfs', Target: '/scratch', TmpfsOptions: { SizeBytes: 1_048_576, Mode: 511 } },
          {
            Type: 'volume',
            Source: 'data',
            Target: '/data',
            VolumeOptions: {
              Labels: { a: 'b' },
              DriverConfig: { Name: 'local', Options: { o: 'x' } },
            },
          },
        ],
        StopSignal: 'SIGQUIT',
        StopGracePeriod: 123_456_789_012,
        HealthCheck: {
          Test: ['CMD', 'true'],
          Interval: 30_000_000_000,
          Timeout: 1_000_000_000,
          Retries: 3,
        },
        Hosts: ['10.0.0.1 db'],
        DNSConfig: { Nameservers: ['8.8.8.8'], Search: ['example.org'], Options: ['ndots:2'] },
        Secrets: [
          {
            File: { Name: 's', UID: '0', GID: '0', Mode: 292 },
            SecretID: secret,
            SecretName: `${name}-secret`,
          },
        ],
        Configs: [
          {
            File: { Name: 'c', UID: '0', GID: '0', Mode: 292 },
            ConfigID: config,
            ConfigName: `${name}-config`,
          },
        ],
        Isolation: 'default',
        Init: true,
        Sysctls: { 'net.core.somaxconn': '1024' },
        CapabilityAdd: ['CAP_NET_ADMIN'],
        CapabilityDrop: ['CAP_CHOWN'],
        Ulimits: [{ Name: 'nofile', Hard: 2048, Soft: 1024 }],
      },
      Resources: {
        Limits: { NanoCPUs: 500_000_000, MemoryBytes: { raw: '9223372036854775807' }, Pids: 100 },
        Reservations: { GenericResources: [{ DiscreteResourceSpec: { Kind: 'GPU', Value: 1 } }] },
      },
      RestartPolicy: { Condition: 'on-failure', Delay: 5_000_000_000, MaxAttempts: 3, Window: 1 },
      Placement: {
        Constraints: ['node.role == manager'],
        Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
        MaxReplicas: { raw: '9007199254740993' },
        Platforms: [
          { Architecture: 'amd64', OS: 'linux' },
          { Architecture: 's390x', OS: 'linux' },
        ],
      },
      Networks: [{ Target: 'host' }],
      LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
      ForceUpdate: 5,
    },
    Mode: { Replicated: { Replicas: 0 } },
    UpdateConfig: {
      Parallelism: 2,
      Delay: 1,
      FailureAction: 'rollback',
      Monitor: 5,
      MaxFailureRatio: 0.30000001192092896,
      Order: 'start-first',
    },
    RollbackConfig: {
      Parallelism: 1,
      FailureAction: 'pause',
      MaxFailureRatio: 0.1,
      Order: 'stop-first',
    },
    EndpointSpec: {
      Mode: 'vip',
      Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }],
    },
  })
}

/** Writes `{ raw }` as a number with these digits. */
async function create(path: string, body: object): Promise<string> {
  const json = JSON.stringify(body).replace(/\{"raw":"(\d+)"\}/g, '$1')
  const { status, text } = await lab.engine.request('POST', path, json)
  if (status !== 201) {
    throw new Error(`Cannot create at ${path}: ${status} ${text}`)
  }
  return JSON.parse(text).ID
}
