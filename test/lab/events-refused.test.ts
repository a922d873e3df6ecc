// A socket proxy that refuses the engine's `/events`: verdicts come from readings, and are not late.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CountingSocket, openCountingSocket } from '../bench/counting-socket.ts'
import {
  ALLOWED,
  type DeployerResponse,
  inspectService,
  type LabDeployer,
  removeServices,
  startLabDeployer,
} from './lab-deployer.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()
const [v1, v2, v3, bad] = ['v1', 'v2', 'v3', 'bad'].map((tag) => lab.image(`lab/app:${tag}`))
const SERVICES = ['good', 'failing'] as const
let proxy: CountingSocket
let deployer: LabDeployer

beforeAll(async () => {
  const path = join(lab.directory, 'refusing.sock')
  proxy = await openCountingSocket(lab.engine.socketPath, path)
  proxy.refuse('/events')
  deployer = await startLabDeployer(proxy)
  const args = ['--update-failure-action=rollback', '--update-monitor=10s']
  await Promise.all(
    SERVICES.map(async (name) => {
      await lab.createService({ name, image: `${v1}`, labels: ALLOWED, args })
      await lab.waitRunning(name, `${v1}`)
    }),
  )
})

afterAll(async () => {
  await deployer.kill()
  await proxy.close()
  await removeServices(lab.engine)
})

/** How long after the engine's own end of an update Deployer found the verdict. */
async function delayMs(service: string, { body }: DeployerResponse): Promise<number> {
  const { UpdateStatus } = await inspectService(lab.engine, service)
  return Date.parse(`${body.endedAt}`) - Date.parse(`${UpdateStatus?.CompletedAt}`)
}

function logged(message: string): number {
  return deployer.process.log().filter((line) => line.msg === message).length
}

describe('a socket proxy that refuses /events', () => {
  test('verdicts are right and not late, few calls are made, and it is logged once', async () => {
    const startedAt = performance.now()
    const [good, failing] = await Promise.all([
      deployer.put('good?wait=150', `${v2}`),
      deployer.put('failing?wait=150', `${bad}`),
    ])
    const tookMs = performance.now() - startedAt
    expect([good.body.verdict, failing.body.verdict]).toEqual(['converged', 'rolled-back'])
    expect(failing.body.tasks).toMatchObject([{ exitCode: 1, log: /no database/ }])
    for (const [service, response] of [
      ['good', good],
      ['failing', failing],
    ] as const) {
      // The next reading without such a poll would be after 5 minutes.
      expect(await delayMs(service, response)).toBeLessThan(100_000)
      const { ID } = JSON.parse((await inspectService(lab.engine, service)).raw)
      const reads = proxy.calls().filter((call) => new RegExp(`/services/${ID}(\\?|$)`).test(call))
      // Some readings of the PUT itself and of the end are added.
      expect(reads.length).toBeLessThanOrEqual(tookMs / 2000 + 6)
    }
    expect([logged('event stream broken'), logged('event stream restored')]).toEqual([1, 0])
  })

  test('when it allows them again, that is logged once', async () => {
    proxy.refuse(undefined)
    const response = await deployer.put('good?wait=150', `${v3}`)
    expect(response.body.verdict).toBe('converged')
    await waitFor(
      'the event stream to be restored',
      async () => logged('event stream restored') > 0,
    )
    expect([logged('event stream broken'), logged('event stream restored')]).toEqual([1, 1])
  })
})
