// What each case of the behaviour suite starts from: an app on a fake swarm, with recorders.

import type { Hono } from 'hono'
import { createDeployer, type DeployerOptions } from '../../src/app.ts'
import { createFakeSwarm, type FakeSwarm } from '../support/fake-swarm.ts'
import {
  createRecordingLogger,
  createRecordingNotifier,
  type RecordingLogger,
  type RecordingNotifier,
} from '../support/recorders.ts'

/** A behaviour: its name is a sentence, and `run` rejects when it does not hold. */
export interface Case {
  readonly name: string
  run(): void | Promise<void>
}

export interface Harness {
  readonly app: Hono
  readonly swarm: FakeSwarm
  readonly notifier: RecordingNotifier
  readonly logger: RecordingLogger
  /** Sends `PUT /service/<name>` with the token, unless `init` says otherwise. */
  put(name: string, init?: PutOptions): Promise<Answer>
}

export interface PutOptions {
  readonly image?: unknown
  readonly body?: string | ReadableStream<Uint8Array>
  readonly headers?: Readonly<Record<string, string>>
}

/** A response that was read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

export const TOKEN = 'SOME_TOKEN'

export function createHarness(options: Partial<DeployerOptions> = {}): Harness {
  const swarm = createFakeSwarm()
  const notifier = createRecordingNotifier()
  const logger = createRecordingLogger()
  const app = createDeployer({ token: TOKEN, swarm, notifier: notifier.notify, logger, ...options })
  return {
    app,
    swarm,
    notifier,
    logger,
    async put(name, { image = 'me/app:v2', body = JSON.stringify({ image }), headers } = {}) {
      const request = new Request(`http://deployer/service/${name}`, {
        method: 'PUT',
        body,
        headers: { Authorization: TOKEN, ...headers },
        ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
      })
      return read(await app.fetch(request))
    },
  }
}

export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : JSON.parse(text),
  }
}
