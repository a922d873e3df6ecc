// A module for workerd with one deployer at module scope, which serves several HTTP requests. The engine
// is a fake: `POST /steer/<step>` steers it. As in reality, the event stream that a request opened reports
// nothing more once that request has ended: a timer of the request delivers its events. `GET /events` lists
// the events that the notifier got, `GET /log` the messages of the log, and `GET /place` keeps one of two
// places of waiting callers until its client disconnects.

import { createDeployer } from '../../src/deployer.ts'
import { createWaitingCallers } from '../../src/http/waiting-callers.ts'
import type { Notifier } from '../../src/notification/notifier.ts'
import type { ServiceEvent } from '../../src/swarm/swarm.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'
import type { ExecutionContext } from './module-scope.ts'

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

const logger = createRecordingLogger()
const events: string[] = []
/** Takes longer than the response: the runtime has to keep the request alive. */
const notifier: Notifier = async ({ event }) => {
  await new Promise((resolve) => setTimeout(resolve, 200))
  events.push(event)
}
const app = createDeployer({ token: 'SOME_TOKEN', swarm, logger, notifier })
const places = createWaitingCallers(2)

const STEPS: Readonly<Record<string, () => void>> = {
  add: () => void swarm.addService('blog'),
  begin: () => swarm.rollout('blog').begin(),
  complete: () => swarm.rollout('blog').complete(),
  rollback: () => swarm.rollout('blog').rollBack(),
}

const PAGES: Readonly<Record<string, () => Response | Promise<Response>>> = {
  '/events': () => Response.json({ events }),
  '/log': () => Response.json({ messages: logger.lines.map(({ message }) => message) }),
  '/place': keepPlace,
}

/** Responds with the head at once, or with 503 when both places are in use. */
async function keepPlace(): Promise<Response> {
  try {
    await places.enter()
  } catch {
    return Response.json({}, { status: 503 })
  }
  const neverEnds = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      controller.enqueue(new TextEncoder().encode('.'))
    },
  })
  return new Response(neverEnds)
}

function steer(path: string): Response | undefined {
  const step = STEPS[path.replace('/steer/', '')]
  step?.()
  return step && new Response('done')
}

async function answer(
  request: Request,
  bindings: object,
  context: ExecutionContext,
): Promise<Response> {
  const { pathname } = new URL(request.url)
  return PAGES[pathname]?.() ?? steer(pathname) ?? app.fetch(request, bindings, context)
}

const handler: { readonly fetch: typeof answer } = { fetch: answer }

export default handler
