// Behaviour of log lines in evidence: an image that a caller chose cannot print the secrets of a service.

import { deploymentId } from '../../src/deployment/deployment.ts'
import { FOREIGN_IMAGE_LABEL } from '../../src/rollout/log-access.ts'
import { equal } from '../support/assert-json-equal.ts'
import type { FakeSwarm } from '../support/fake-swarm.ts'
import { type Answer, type Case, createHarness, type Harness, pinned } from './harness.ts'

const SECRET = 'PASSWORD=s3cr3t'
const ALLOWED = { 'deployer.allowUpdates': 'true' }

function harness(labels: Readonly<Record<string, string>> = {}): Harness {
  const made = createHarness()
  made.swarm.addService('blog', { image: 'me/app:v1', labels: { ...ALLOWED, ...labels } })
  made.swarm.logs.set('default', SECRET)
  return made
}

/** Deploys an image whose tasks fail; the engine pauses, or rolls back. */
async function deployFailing(
  { begin }: Harness,
  image: string,
  end: 'pause' | 'rollBack' = 'pause',
): Promise<Answer> {
  const { answer, rollout } = await begin('blog', { image })
  rollout[end]()
  return answer
}

async function deployRunning({ begin }: Harness, image: string): Promise<void> {
  const { answer, rollout } = await begin('blog', { image })
  rollout.complete()
  equal((await answer).body.verdict, 'converged')
}

function labelOf(swarm: FakeSwarm): string | undefined {
  return swarm.spec('blog').Labels?.[FOREIGN_IMAGE_LABEL]
}

function expectShown({ body }: Answer): void {
  const [task] = body.tasks as { readonly log?: string }[]
  equal([task?.log, body.logsWithheld], [SECRET, undefined])
}

function expectWithheld({ body }: Answer): void {
  equal(JSON.stringify(body).includes('s3cr3t'), false)
  const [task] = body.tasks as Record<string, unknown>[]
  equal([task?.state, task?.error, task?.exitCode], ['failed', 'task: non-zero exit (1)', 1])
  equal(String(body.logsWithheld).startsWith('Log lines are shown only of images of'), true)
}

export const logLines: readonly Case[] = [
  {
    name: 'log lines of the repository of the service are shown, for any spelling of it',
    async run() {
      for (const image of ['me/app:v2', 'docker.io/me/app:v3', `me/app@${pinned('x').slice(2)}`]) {
        const made = harness()
        expectShown(await deployFailing(made, image))
        equal(labelOf(made.swarm), undefined)
      }
    },
  },
  {
    name: 'log lines of an image of another repository are withheld, with the reason, and not read',
    async run() {
      for (const image of ['evil/app:v2', 'ghcr.io/me/app:v2', 'me/app/x:v2', 'app:v2']) {
        for (const end of ['pause', 'rollBack'] as const) {
          const made = harness()
          const response = await deployFailing(made, image, end)
          expectWithheld(response)
          equal(response.status, 424)
          equal(
            made.swarm.calls.filter((call) => call.startsWith('log')),
            [],
          )
        }
      }
    },
  },
  {
    name: 'log lines of another repository are also withheld at the second deployment of it',
    async run() {
      const made = harness()
      expectWithheld(await deployFailing(made, 'evil/app:v1'))
      expectWithheld(await deployFailing(made, 'evil/app:v2'))
      equal(labelOf(made.swarm), `me/app:v1 ${pinned('evil/app:v2')}`)
      // Ten more, so that the record has forgotten the first.
      for (let times = 0; times < 10; times += 1) {
        await deployRunning(made, `evil/app:run${times}`)
      }
      expectWithheld(await deployFailing(made, 'evil/app:v3'))
      expectWithheld(await deployFailing(made, 'evil/other:v3', 'rollBack'))
      const restarted = await made.begin('blog', { body: '{"force":true}' })
      restarted.rollout.pause()
      expectWithheld(await restarted.answer)
    },
  },
  {
    name: "log lines of the owner's repository are shown again after another one, and the label is removed",
    async run() {
      const made = harness()
      await deployRunning(made, 'evil/app:v1')
      equal(labelOf(made.swarm), `me/app:v1 ${pinned('evil/app:v1')}`)
      expectShown(await deployFailing(made, 'me/app:v2'))
      equal(labelOf(made.swarm), undefined)
      await deployRunning(made, 'evil/app:v2')
      // The spec from before is back, with its labels.
      expectShown(await deployFailing(made, 'me/app:v3', 'rollBack'))
      equal(labelOf(made.swarm), `${pinned('me/app:v2')} ${pinned('evil/app:v2')}`)
      expectWithheld(await deployFailing(made, 'evil/app:v3'))
    },
  },
  {
    name: 'log lines of another repository are shown once the owner has deployed it, or removed the label',
    async run() {
      const written = harness()
      await deployRunning(written, 'evil/app:v1')
      written.swarm.change('blog', (spec) => ({
        ...spec,
        TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: 'evil/app:chosen' } },
      }))
      expectShown(await deployFailing(written, 'evil/app:v2'))
      equal(labelOf(written.swarm), undefined)
      const allowed = harness()
      await deployRunning(allowed, 'evil/app:v1')
      allowed.swarm.change('blog', (spec) => {
        const { [FOREIGN_IMAGE_LABEL]: _, ...Labels } = spec.Labels ?? {}
        return { ...spec, Labels }
      })
      expectShown(await deployFailing(allowed, 'evil/app:v2'))
    },
  },
  {
    name: 'log lines of a service of a stack are shown for the repository in the stack file',
    async run() {
      const stack = { 'com.docker.stack.image': 'me/app:v1' }
      const made = harness(stack)
      await deployRunning(made, 'evil/app:v1')
      // `docker stack deploy --resolve-image=changed` replaces all labels, and keeps the image.
      made.swarm.change('blog', (spec) => ({ ...spec, Labels: { ...ALLOWED, ...stack } }))
      made.swarm.change('blog', (spec) => ({ ...spec, Labels: { ...ALLOWED, ...stack } }))
      expectWithheld(await deployFailing(made, 'evil/app:v2'))
      expectShown(await deployFailing(made, 'me/app:v2'))
    },
  },
  {
    name: 'log lines are withheld in each process, whatever previous image an ID contains',
    async run() {
      const made = harness()
      const response = await deployFailing(made, 'evil/app:v2')
      const elsewhere = createHarness({ swarm: made.swarm })
      const { service, serviceId, startedAt } = response.body as Record<string, string>
      const id = deploymentId({
        ...{ service: String(service), serviceId: String(serviceId), image: 'evil/app:v2' },
        ...{ resolved: pinned('evil/app:v2'), previous: 'evil/app:v1', forceUpdate: '0' },
        ...{ versionIndex: 5, startedAt: String(startedAt) },
      })
      for (const path of [response.headers.get('Location') ?? '', `/deployments/${id}`]) {
        const { body } = await elsewhere.get(`${path}?wait=50`)
        equal(JSON.stringify(body).includes('s3cr3t'), false)
      }
      expectWithheld(await elsewhere.get(response.headers.get('Location') ?? ''))
    },
  },
  {
    name: 'log lines are not reported as withheld where there can be none, or logs are turned off',
    async run() {
      const made = harness()
      const { answer, rollout } = await made.begin('blog', { image: 'evil/app:v2' })
      rollout.fail({ state: 'rejected' })
      rollout.pause()
      equal('logsWithheld' in (await answer).body, false)
      const switchedOff = createHarness({ evidenceLogs: false })
      switchedOff.swarm.addService('blog', { image: 'me/app:v1' })
      equal('logsWithheld' in (await deployFailing(switchedOff, 'evil/app:v2')).body, false)
    },
  },
]
