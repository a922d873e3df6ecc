// Watching services through the dockerode adapter, on the event streams of scripted engines.

import { getEventListeners } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createDockerodeSwarm } from '../../../src/node/docker/dockerode-swarm.ts'
import type { ServiceEvent } from '../../../src/swarm/swarm.ts'
import { type Loopback, tcpLoopback } from '../../support/loopback.ts'
import { type ScriptedEngine, scriptedEngine, text } from '../../support/scripted-engine.ts'

// Long enough for a busy machine; a test that waits for the timeout sets a short one.
const TIMEOUT_MS = 60_000

let engine: ScriptedEngine

beforeEach(async () => {
  engine = await scriptedEngine(TIMEOUT_MS)
})

afterEach(() => engine.close())

function eventLine(id: string, attributes: object = {}): string {
  const time = { time: 1795530982, timeNano: 0 }
  const event = { Type: 'service', Action: 'update', Actor: { ID: id, Attributes: attributes } }
  return `${JSON.stringify({ ...event, ...time }).replace('"timeNano":0', '"timeNano":1795530982480872724')}\n`
}

/** Sends each byte in a packet of its own, unless the kernel joins them. */
async function byteByByte(response: ServerResponse, bytes: Buffer): Promise<void> {
  response.socket?.setNoDelay(true)
  for (const byte of bytes) {
    response.write(Buffer.from([byte]))
    await nextTurn()
  }
}

const eventually = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 30_000, interval: 5 })

/** Waits without a timer, so that it does not move fake time. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await nextTurn()
  }
}

interface Watch {
  readonly calls: string[]
  readonly events: ServiceEvent[]
  readonly ended: Promise<unknown>
  readonly controller: AbortController
}

function watch(options: { sinceMs?: number; swarm?: ScriptedEngine['swarm'] } = {}): Watch {
  const { swarm = engine.swarm, sinceMs } = options
  const controller = new AbortController()
  const calls: string[] = []
  const events: ServiceEvent[] = []
  const listener = {
    opened: () => void calls.push('opened'),
    changed(event: ServiceEvent) {
      calls.push(event.serviceId)
      events.push(event)
    },
  }
  const ended = swarm.watchServices(listener, { signal: controller.signal, sinceMs }).then(
    () => 'resolved',
    (error: unknown) => error,
  )
  return { calls, events, ended, controller }
}

/** Answers 200, and returns the response so that the test can write to it. */
function openStream(): Promise<ServerResponse> {
  return new Promise((resolve) => {
    engine.answer = (_, response) => {
      response.writeHead(200).flushHeaders()
      resolve(response)
    }
  })
}

describe('watchServices', () => {
  test('requests the events of services, and reports each as it arrives', async () => {
    const stream = openStream()
    const { calls, events, controller, ended } = watch()
    const response = await stream
    await eventually(() => expect(calls).toEqual(['opened']))
    response.write(eventLine('a', { 'updatestate.new': 'updating', 'image.new': 'me/app:v2' }))
    await eventually(() => expect(calls).toEqual(['opened', 'a']))
    expect(events).toEqual([
      {
        serviceId: 'a',
        action: 'update',
        updateState: 'updating',
        image: 'me/app:v2',
        timeMs: 1795530982480,
      },
    ])
    expect(decodeURIComponent(engine.requests[0]?.line ?? '')).toBe(
      'GET /events?filters={"type":["service"]}',
    )
    controller.abort()
    expect(await ended).toBe('resolved')
  })

  test.each([
    [1795530982480, '1795530982.480000000'],
    [1795530982007.9, '1795530982.007000000'],
    [5, '0.005000000'],
    [-5, '0.000000000'],
  ])('requests events since %d as %s', async (sinceMs, since) => {
    engine.answer = text(200, '')
    expect(await watch({ sinceMs }).ended).toBe('resolved')
    expect(
      new URL(engine.requests[0]?.line.slice(4) ?? '', 'http://x').searchParams.get('since'),
    ).toBe(since)
  })

  test('resolves at the end of the stream', async () => {
    engine.answer = text(200, eventLine('a'))
    const { calls, ended } = watch()
    expect(await ended).toBe('resolved')
    expect(calls).toEqual(['opened', 'a'])
  })

  test('an event may arrive byte by byte', async () => {
    const stream = openStream()
    const { calls, ended } = watch()
    const response = await stream
    await byteByByte(response, Buffer.from(eventLine('è€😀') + eventLine('b')))
    response.end()
    await ended
    expect(calls).toEqual(['opened', 'è€😀', 'b'])
  })

  test('a line that is not an event is skipped, even if it is 10 MiB long', async () => {
    const stream = openStream()
    const { calls, ended } = watch()
    const response = await stream
    const before = process.memoryUsage().arrayBuffers
    response.write(`<html>\n\n{"Type":\n{"Type":"node","Action":"update"}\n${eventLine('a')}`)
    for (let mebibytes = 0; mebibytes < 10; mebibytes += 1) {
      response.write('x'.repeat(1024 * 1024))
    }
    response.end(`\n${eventLine('b')}`)
    await ended
    expect(calls).toEqual(['opened', 'a', 'b'])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('an event whose line is incomplete at the end of the stream is not reported', async () => {
    engine.answer = text(200, eventLine('a') + eventLine('b').trimEnd())
    const { calls, ended } = watch()
    await ended
    expect(calls).toEqual(['opened', 'a'])
  })

  test('has no timeout once the stream is open', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const stream = openStream()
      const { calls, ended, controller } = watch()
      const response = await stream
      await until(() => calls.length > 0)
      expect(vi.getTimerCount()).toBe(0)
      await vi.advanceTimersByTimeAsync(3_600_000)
      response.write(eventLine('a'))
      await until(() => calls.length > 1)
      expect(calls).toEqual(['opened', 'a'])
      controller.abort()
      expect(await ended).toBe('resolved')
    } finally {
      vi.useRealTimers()
    }
  })

  test.each([
    [503, '{"message":"This node is not a swarm manager. …"}', 'not-a-manager'],
    [
      500,
      '{"message":"rpc error: code = Unknown desc = The swarm does not have a leader. …"}',
      'no-quorum',
    ],
    [301, '', 'engine-error'],
    [204, '', 'engine-error'],
  ])('rejects if the engine answers %i %s', async (status, body, code) => {
    engine.answer = text(status, body)
    const { calls, ended } = watch()
    expect(await ended).toMatchObject({ code, message: expect.stringContaining('watch services') })
    expect(calls).toEqual([])
  })

  test('rejects if the engine does not respond before the timeout, and closes the connection', async () => {
    const { calls, ended } = watch({ swarm: swarmAt(engine, 300) })
    expect(await ended).toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('no answer within 300 ms'),
    })
    expect(calls).toEqual([])
    await eventually(() => expect(engine.openConnections()).toBe(0))
  })

  test('rejects if the body of an error response never ends', async () => {
    engine.answer = (_, response) => response.writeHead(500).write('{"mess')
    const { ended } = watch({ swarm: swarmAt(engine, 300) })
    expect(await ended).toMatchObject({ code: 'engine-unreachable' })
  })

  test('rejects if the engine cannot be reached', async () => {
    await engine.close()
    expect(await watch().ended).toMatchObject({ code: 'engine-unreachable' })
  })

  test('rejects if the connection breaks', async () => {
    const stream = openStream()
    const { calls, ended } = watch()
    const response = await stream
    response.write(eventLine('a'))
    await eventually(() => expect(calls).toEqual(['opened', 'a']))
    response.destroy()
    expect(await ended).toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('(aborted)'),
    })
  })

  test('rejects if the engine closes its side of the connection in the middle of a chunk', async () => {
    const loopback = await tcpLoopback((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"Type"'),
      )
    })
    const { calls, ended } = watch({ swarm: swarmAt(loopback) })
    expect(await ended).toMatchObject({ code: 'engine-unreachable' })
    expect(calls).toEqual(['opened'])
    await loopback.close()
  })

  test('resolves on abort before, while and after it connects, and closes the connection', async () => {
    const early = watch()
    early.controller.abort()
    expect(await early.ended).toBe('resolved')

    const waiting = watch()
    await eventually(() => expect(engine.requests.length).toBeGreaterThan(0))
    waiting.controller.abort()
    expect(await waiting.ended).toBe('resolved')

    const stream = openStream()
    const late = watch()
    await stream
    await eventually(() => expect(late.calls).toEqual(['opened']))
    late.controller.abort()
    expect(await late.ended).toBe('resolved')
    await eventually(() => expect(engine.openConnections()).toBe(0))

    const signal = AbortSignal.abort()
    await engine.swarm.watchServices({ opened: fail, changed: fail }, { signal })
    expect(engine.requests.length).toBeLessThanOrEqual(3)
  })

  test('reports nothing after an abort, not even events of the same chunk', async () => {
    engine.answer = (_, response) => {
      response.writeHead(200).write(eventLine('a') + eventLine('b'))
    }
    const controller = new AbortController()
    const changed = vi.fn(() => controller.abort())
    await engine.swarm.watchServices({ opened() {}, changed }, { signal: controller.signal })
    expect(changed).toHaveBeenCalledTimes(1)
  })

  test('leaves no listener on a shared signal, neither at the end of the stream nor after an abort', async () => {
    const { signal, abort } = sharedSignal()
    const listeners = (): readonly unknown[] => getEventListeners(signal, 'abort')
    const ignore = { opened() {}, changed() {} }
    engine.answer = text(200, '')
    await engine.swarm.watchServices(ignore, { signal })
    await eventually(() => expect(listeners()).toEqual([]))

    const responses = openStream()
    const open = engine.swarm.watchServices(ignore, { signal })
    await responses
    engine.answer = () => {}
    const waiting = engine.swarm.watchServices(ignore, { signal })
    expect(listeners()).not.toEqual([])
    abort()
    await Promise.all([open, waiting])
    await eventually(() => expect(listeners()).toEqual([]))
    await engine.swarm.watchServices(ignore, { signal })
    expect(listeners()).toEqual([])
  })

  test.each([
    ['opened', 'throws'],
    ['changed', 'throws'],
    ['opened', 'rejects'],
    ['changed', 'rejects'],
  ] as const)(
    'rejects if %s of the listener %s, and leaves no unhandled rejection',
    async (method, how) => {
      const unhandled = vi.fn()
      process.on('unhandledRejection', unhandled)
      const error = new Error('of the listener')
      engine.answer = (_, response) => {
        response.writeHead(200).write(eventLine('a') + eventLine('b'))
      }
      const listener = {
        opened() {},
        changed: vi.fn(),
        [method]: vi.fn(() => {
          if (how === 'rejects') {
            return Promise.reject(error)
          }
          throw error
        }),
      }
      const { signal } = new AbortController()
      await expect(engine.swarm.watchServices(listener, { signal })).rejects.toMatchObject({
        code: 'internal-error',
        cause: error,
      })
      await eventually(() => expect(engine.openConnections()).toBe(0))
      expect(listener[method]).toHaveBeenCalled()
      if (how === 'throws') {
        expect(listener[method]).toHaveBeenCalledTimes(1)
      }
      expect(getEventListeners(signal, 'abort')).toEqual([])
      await nextTurn()
      process.off('unhandledRejection', unhandled)
      expect(unhandled).not.toHaveBeenCalled()
    },
  )

  test('enables keep-alive probes on the connection of the stream', async () => {
    const keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive')
    engine.answer = text(200, '')
    await watch().ended
    expect(keepAlive).toHaveBeenCalledWith(true, 15_000)
    keepAlive.mockRestore()
  })

  test('works over ssh, ends the ssh process with the watch, and rejects if the process is killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deployer-ssh-'))
    const relay = `const socket = require('node:net').connect(${engine.port}, '127.0.0.1')
      require('node:fs').appendFileSync('${folder}/pids', process.pid + '\\n')
      process.stdin.pipe(socket).pipe(process.stdout)`
    writeFileSync(join(folder, 'relay.cjs'), relay)
    const script = `#!/bin/sh\nexec ${process.execPath} ${folder}/relay.cjs\n`
    writeFileSync(join(folder, 'ssh'), script, { mode: 0o755 })
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    const swarm = createDockerodeSwarm({ dockerHost: 'ssh://manager', timeoutMs: 5000 })
    const pids = (): number[] =>
      readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number)
    const hasEnded = (pid: number): boolean => !existsSync(`/proc/${pid}`)

    const stream = openStream()
    const { calls, controller, ended } = watch({ swarm })
    const response = await stream
    response.write(eventLine('a'))
    await eventually(() => expect(calls).toEqual(['opened', 'a']))
    controller.abort()
    expect(await ended).toBe('resolved')
    await eventually(() => expect(pids().every(hasEnded)).toBe(true))

    const again = openStream()
    const broken = watch({ swarm })
    await again
    await eventually(() => expect(broken.calls).toEqual(['opened']))
    process.kill(pids().at(-1) ?? 0, 'SIGKILL')
    expect(await broken.ended).toMatchObject({ code: 'engine-unreachable' })
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  test('64 watches, the maximum number of simultaneous calls, do not delay other calls', async () => {
    engine.answer = (request, response) => {
      response.writeHead(200)
      if (request.url?.startsWith('/events')) {
        response.flushHeaders()
      } else {
        response.end('[]')
      }
    }
    const watches = Array.from({ length: 64 }, () => watch())
    await vi.waitFor(
      () => expect(watches.every(({ calls }) => calls.length === 1)).toBe(true),
      10_000,
    )
    expect(await engine.swarm.listNodes()).toEqual([])
    for (const { controller } of watches) {
      controller.abort()
    }
    await Promise.all(watches.map(({ ended }) => ended))
  })
})

function swarmAt({ port }: Loopback, timeoutMs = TIMEOUT_MS): ScriptedEngine['swarm'] {
  return createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${port}`, timeoutMs })
}

function fail(): void {
  throw new Error('unexpected call of the listener')
}

function sharedSignal(): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
