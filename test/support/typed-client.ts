// A gateway with a typed client of the app, as embedders write them. A test compiles and runs it on
// the lowest and on the newest Hono.

import { Hono } from 'hono'
import { hc } from 'hono/client'
import { createDeployer, type DeployerApp, type DeploymentReport } from '../../src/index.ts'
import { createFakeHistoryStore } from './fake-history-store.ts'
import { createFakeSwarm } from './fake-swarm.ts'

const headers = { Authorization: 'SOME_TOKEN' }

/**
 * Calls every route of the app through clients, under `route` and without a gateway.
 *
 * @returns What the responses hold.
 */
export async function callEveryRoute(): Promise<Readonly<Record<string, unknown>>> {
  const swarm = createFakeSwarm()
  const historyStore = createFakeHistoryStore()
  swarm.addService('blog', { replicas: 0 })
  const deployer = createDeployer({ token: 'SOME_TOKEN', swarm, historyStore })
  const gateway = new Hono().route('/cd', deployer)
  const fetchGateway: typeof fetch = async (...request) => gateway.fetch(new Request(...request))
  const { cd } = hc<typeof gateway>('http://gateway', { fetch: fetchGateway, headers })

  const put = await cd.service[':name'].$put({
    param: { name: 'blog' },
    query: { wait: '50s' },
    json: { image: 'me/app:v2', metadata: { commit: '1f2e3d' } },
    header: { 'Idempotency-Key': 'one' },
  })
  if (put.status !== 200) {
    throw new Error(`PUT: ${await put.text()}`)
  }
  const deployed = await put.json()
  const report: DeploymentReport | undefined = 'dryRun' in deployed ? undefined : deployed
  const id = report?.deploymentId ?? ''

  const refused = await cd.service[':name'].$put({
    param: { name: 'shop' },
    json: { image: 'me/app:v2' },
  })
  const problem: { code: string; detail: string } | undefined =
    refused.status === 404 ? await refused.json() : undefined

  const dryRun = await cd.service[':name'].$put({
    param: { name: 'blog' },
    query: { dryRun: 'true' },
    json: { image: 'me/app:v3' },
  })
  const planned = dryRun.status === 200 ? await dryRun.json() : undefined

  const service = await cd.service[':name'].$get({ param: { name: 'blog' } })
  const history = await cd.service[':name'].history.$get({ param: { name: 'blog' } })
  const services = await cd.services.$get()
  const deployment = await cd.deployments[':id'].$get({ param: { id }, query: { wait: '1' } })
  const healthz = await cd.healthz.$get()

  const direct = hc<DeployerApp>('http://deployer', {
    fetch: async (...request: Parameters<typeof fetch>) => deployer.fetch(new Request(...request)),
    headers,
  })
  return {
    verdict: report?.verdict,
    problem: problem?.code,
    wouldUpdate: planned !== undefined && 'dryRun' in planned ? planned.wouldUpdate : undefined,
    service: service.status === 200 ? (await service.json()).image : undefined,
    history:
      history.status === 200 ? (await history.json()).deployments.map((one) => one.verdict) : [],
    services: services.status === 200 ? (await services.json()).map((one) => one.service) : [],
    deployment: deployment.status === 200 ? (await deployment.json()).verdict : undefined,
    healthz: await healthz.text(),
    direct: (await direct.services.$get()).status,
  }
}

/**
 * Mistakes that the compiler has to find: with a client of type `any` or `unknown`, it finds none.
 */
export function mistakes(client: ReturnType<typeof hc<DeployerApp>>): void {
  const name = { param: { name: 'blog' } }
  // @ts-expect-error There is no such path.
  client.nosuch?.$get()
  // @ts-expect-error There is no such method.
  client.services.$put?.()
  // @ts-expect-error The name is missing.
  client.service[':name'].$get()
  // @ts-expect-error The body is missing.
  client.service[':name'].$put(name)
  // @ts-expect-error The image must be a string.
  client.service[':name'].$put({ ...name, json: { image: 1 } })
  // @ts-expect-error A dry run is true or false.
  client.service[':name'].$put({ ...name, json: { image: 'a' }, query: { dryRun: 'yes' } })
  // @ts-expect-error A service has no such member.
  client.services.$get().then(async (response) => (await response.json()).nosuch)
}
