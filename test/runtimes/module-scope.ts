// An outbox, a webhook and a deployer that are created at module scope, as an application on workerd
// creates them: outside a request, random values, timers and asynchronous work throw there.

import { createDeployer } from '../../src/deployer.ts'
import { createOutbox } from '../../src/notification/outbox.ts'
import { createWebhook } from '../../src/notification/webhook/webhook.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'

const TOKEN = 'SOME_TOKEN'

const signatures: string[] = []
const logger = { info() {}, warn() {}, error() {} }

/** Takes longer than the response: the runtime has to keep the request alive. */
const receive: typeof fetch = async (_, init) => {
  await new Promise((resolve) => setTimeout(resolve, 200))
  signatures.push(new Headers(init?.headers).get('webhook-signature') ?? '')
  return new Response(null, { status: 204 })
}

const swarm = createFakeSwarm()
const destinations = [
  createWebhook({
    name: 'chat',
    url: 'https://chat.example.com/hook',
    secret: btoa('0'.repeat(32)),
    fetch: receive,
  }),
]
const outbox = createOutbox({ destinations, logger })
const app = createDeployer({ token: TOKEN, swarm, logger, notifier: outbox.notify })

/**
 * Deploys an image.
 *
 * @param context What keeps work alive after the response, where the runtime has it.
 * @returns The response, which comes before the message is delivered.
 */
export async function deployFromModuleScope(context?: ExecutionContext): Promise<Response> {
  swarm.addService('blog')
  const request = new Request('http://deployer/service/blog', {
    method: 'PUT',
    body: '{"image":"me/app:v2"}',
    headers: { Authorization: TOKEN },
  })
  return app.fetch(request, {}, context)
}

/** The signatures of the messages that were delivered so far. */
export function deliveredSignatures(): readonly string[] {
  return signatures
}

/** What a runtime passes to a fetch handler; workerd ends other work with the response. */
export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void
  passThroughOnException(): void
  readonly props: unknown
}
