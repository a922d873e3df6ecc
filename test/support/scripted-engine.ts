// An engine on a loopback port whose responses the test sets, and a swarm that sends requests to
// it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createDockerodeSwarm, type DockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import { httpLoopback, type Loopback } from './loopback.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface ScriptedEngine extends Loopback {
  readonly swarm: DockerodeSwarm
  /** The requests so far. */
  readonly requests: { line: string; headers: readonly string[]; body: string }[]
  answer: Answer
}

/**
 * Starts the engine.
 *
 * @param timeoutMs Timeout of a call, in milliseconds. Default: a minute, since a busy machine is
 *   slow.
 * @returns The engine, which does not respond to any request until `answer` is set.
 */
export async function scriptedEngine(timeoutMs = 60_000): Promise<ScriptedEngine> {
  const loopback = await httpLoopback(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) {
      chunks.push(chunk)
    }
    const body = Buffer.concat(chunks).toString()
    engine.requests.push({
      line: `${request.method} ${request.url}`,
      headers: request.rawHeaders,
      body,
    })
    engine.answer(request, response)
  })
  const dockerHost = `tcp://127.0.0.1:${loopback.port}`
  const engine: ScriptedEngine = {
    ...loopback,
    swarm: createDockerodeSwarm({ dockerHost, timeoutMs }),
    requests: [],
    answer: () => {},
  }
  return engine
}

export function text(status: number, body: string, headers = {}): Answer {
  return (_, response) => {
    response.writeHead(status, headers).end(body)
  }
}

/** Finds a header by its exact name; undefined if it was not sent. */
export function headerOf(headers: readonly string[] = [], name: string): string | undefined {
  const at = headers.findIndex((header, index) => index % 2 === 0 && header === name)
  return at === -1 ? undefined : headers[at + 1]
}
