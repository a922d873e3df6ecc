// A module for workerd with one deployer at module scope, which serves several HTTP requests. The engine
// is a fake: `POST /steer/<step>` steers it. As in reality, the event stream that a request opened reports
// nothing more once that request has ended: a timer of the request delivers its events.

import { createDeployer } from '../../src/deployer.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'

const DELIVER_MS = 100

const swarm = createFakeSwarm()
swarm.onUpdate = 'none'
const { watchServices } = swarm
swarm.watchServices = async ({ opened, changed }, options) => {
  const events: ServiceEvent[] = []
  opened()
  const timer = setInterval(() => events.splice(0).forEach(changed), DELIVER_MS)
  await watchServices({ opened() {}, changed: (event) => void events.push(event) }, options)
  clearInterval(timer)
}

const app = createDeployer({ token: 'SOME_TOKEN', swarm })

const STEPS: Readonly<Record<string, () => void>> = {
  add: () => void swarm.addService('blog'),
  begin: () => swarm.rollout('blog').begin(),
  complete: () => swarm.rollout('blog').complete(),
  rollback: () => swarm.rollout('blog').rollBack(),
}

function steer(path: string): Response | undefined {
  const step = STEPS[path.replace('/steer/', '')]
  step?.()
  return step && new Response('done')
}

const handler: { fetch(request: Request): Response | Promise<Response> } = {
  fetch: (request) => steer(new URL(request.url).pathname) ?? app.fetch(request),
}

export default handler
