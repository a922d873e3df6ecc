// A program that embeds Deployer in a gateway, as a file of a project of its own.

/** The source. The program prints two statuses and whether both entries share the class of errors. */
export const EMBEDDER = `import { Hono } from 'hono'
import { createDeployer, createOutbox, createWebhook, DeployerError } from 'swarm-deployer'
import { createDockerodeSwarm } from 'swarm-deployer/node'

const swarm = createDockerodeSwarm({ dockerHost: 'unix:///nowhere.sock' })
const outbox = createOutbox({
  destinations: [createWebhook({ name: 'chat', url: 'https://hooks.example.com/deployments' })],
  logger: console,
})
const gateway = new Hono()
gateway.route('/cd', createDeployer({ token: 'SOME_TOKEN', swarm, notifier: outbox.notify }))

const health = await gateway.request('/cd/healthz')
const refused = await gateway.request('/cd/services')
const error = await swarm.check().catch((reason: unknown) => reason)
console.log(JSON.stringify([health.status, refused.status, error instanceof DeployerError]))
`

/** What it prints. */
export const EMBEDDER_OUTPUT: readonly (number | boolean)[] = [200, 401, true]
