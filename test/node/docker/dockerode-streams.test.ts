// The streams of the dockerode adapter against scripted engines.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createDockerodeSwarm } from '../../../src/node/docker/dockerode-swarm.ts'
import type { ServiceEvent } from '../../../src/swarm/swarm.ts'
import { type Loopback, tcpLoopback } from '../../support/loopback.ts'
import { type ScriptedEngine, scriptedEngine, text } from '../../support/scripted-engine.ts'

// A loaded machine takes its time; where a test waits for the deadline, it has its own.
const TIMEOUT_MS = 10_000

let engine: ScriptedEngine

beforeEach(async () => {
  engine = await scriptedEngine(TIMEOUT_MS)
})

afterEach(() => engine.close())

function frame(output: number, content: string): Buffer {
  const header = Buffer.from([output, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(Buffer.byteLength(content), 4)
  return Buffer.concat([header, Buffer.from(content)])
}

function eventLine(id: string, attributes: object = {}): string {
  const time = { time: 1795530982, timeNano: 0 }
  const event = { Type: 'service', Action: 'update', Actor: { ID: id, Attributes: attributes } }
  return `${JSON.stringify({ ...event, ...time }).replace('"timeNano":0', '"timeNano":1795530982480872724')}\n`
}

/** Each byte in a packet of its own, as far as the kernel lets it. */
async function byteByByte(response: ServerResponse, bytes: Buffer): Promise<void> {
  response.socket?.setNoDelay(true)
  for (const byte of bytes) {
    response.write(Buffer.from([byte]))
    await sleep(0)
  }
}

describe('readTaskLog', () => {
  test('asks for both outputs and so many lines, and tells them', async () => {
    engine.answer = text(200, `${frame(1, 'one\n')}${frame(2, 'err\n')}`)
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('one\nerr')
    expect(engine.requests[0]?.line).toBe('GET /tasks/t1/logs?stdout=1&stderr=1&tail=20')
  })

  test('frames may come byte by byte', async () => {
    engine.answer = async (_, response) => {
      response.writeHead(200)
      await byteByByte(response, Buffer.concat([frame(1, 'è€😀\n'), frame(2, 'err\n')]))
      response.end()
    }
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('è€😀\nerr')
  })

  test("a terminal's text comes without frames", async () => {
    const type = { 'Content-Type': 'application/vnd.docker.raw-stream' }
    engine.answer = text(200, '\x01\0\0\0 is what it wrote\r\n', type)
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe(' is what it wrote')
  })

  test.each([404, 500, 503])('a refusal (%i) is no log', async (status) => {
    engine.answer = text(status, '{"message":"task t1 not found"}')
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('')
  })

  test('an engine that is not there has no log', async () => {
    await engine.close()
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('')
  })

  test('an engine that says nothing at all has no log', async () => {
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('')
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('what came before the stream broke, counts', async () => {
    engine.answer = (_, response) => {
      response.writeHead(200).write(frame(1, 'one\n'))
      setTimeout(() => response.destroy(), 20)
    }
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('one')
  })

  test('what came within 3 s counts, when the stream never ends', async () => {
    engine.answer = (_, response) => response.writeHead(200).write(frame(1, 'so far\n'))
    const startedAt = performance.now()
    expect(await engine.swarm.readTaskLog('t1', 20)).toBe('so far')
    expect(performance.now() - startedAt).toBeGreaterThan(2900)
    expect(performance.now() - startedAt).toBeLessThan(4000)
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('a stream without bounds takes 3 s and little memory', async () => {
    const piece = frame(1, `${'x'.repeat(65_535)}\n`)
    engine.answer = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) {}
      }
      response.writeHead(200).on('drain', more)
      more()
    }
    const before = process.memoryUsage()
    const startedAt = performance.now()
    const log = await engine.swarm.readTaskLog('t1', 20)
    expect(performance.now() - startedAt).toBeLessThan(4000)
    expect(log.length).toBeLessThanOrEqual(8192)
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    const grown = heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers
    expect(grown).toBeLessThan(150 * 1024 * 1024)
  })
})

interface Watch {
  readonly told: string[]
  readonly events: ServiceEvent[]
  readonly ended: Promise<unknown>
  readonly controller: AbortController
}

function watch(options: { sinceMs?: number; swarm?: ScriptedEngine['swarm'] } = {}): Watch {
  const { swarm = engine.swarm, sinceMs } = options
  const controller = new AbortController()
  const told: string[] = []
  const events: ServiceEvent[] = []
  const listener = {
    opened: () => void told.push('opened'),
    changed(event: ServiceEvent) {
      told.push(event.serviceId)
      events.push(event)
    },
  }
  const ended = swarm.watchServices(listener, { signal: controller.signal, sinceMs }).then(
    () => 'resolved',
    (error: unknown) => error,
  )
  return { told, events, ended, controller }
}

/** Answers 200 and hands the response on for more. */
function openStream(): Promise<ServerResponse> {
  return new Promise((resolve) => {
    engine.answer = (_, response) => {
      response.writeHead(200).flushHeaders()
      resolve(response)
    }
  })
}

describe('watchServices', () => {
  test('asks for the events of services, and tells them as they come', async () => {
    const stream = openStream()
    const { told, events, controller, ended } = watch()
    const response = await stream
    await vi.waitFor(() => expect(told).toEqual(['opened']))
    response.write(eventLine('a', { 'updatestate.new': 'updating', 'image.new': 'me/app:v2' }))
    await vi.waitFor(() => expect(told).toEqual(['opened', 'a']))
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
  ])('asks for events since %d as %s', async (sinceMs, since) => {
    engine.answer = text(200, '')
    expect(await watch({ sinceMs }).ended).toBe('resolved')
    expect(
      new URL(engine.requests[0]?.line.slice(4) ?? '', 'http://x').searchParams.get('since'),
    ).toBe(since)
  })

  test('resolves when the stream ends', async () => {
    engine.answer = text(200, eventLine('a'))
    const { told, ended } = watch()
    expect(await ended).toBe('resolved')
    expect(told).toEqual(['opened', 'a'])
  })

  test('an event may come byte by byte', async () => {
    const stream = openStream()
    const { told, ended } = watch()
    const response = await stream
    await byteByByte(response, Buffer.from(eventLine('è€😀') + eventLine('b')))
    response.end()
    await ended
    expect(told).toEqual(['opened', 'è€😀', 'b'])
  })

  test('a line that is no event is passed over, however long', async () => {
    const stream = openStream()
    const { told, ended } = watch()
    const response = await stream
    const before = process.memoryUsage().arrayBuffers
    response.write(`<html>\n\n{"Type":\n{"Type":"node","Action":"update"}\n${eventLine('a')}`)
    for (let mebibytes = 0; mebibytes < 10; mebibytes += 1) {
      response.write('x'.repeat(1024 * 1024))
    }
    response.end(`\n${eventLine('b')}`)
    await ended
    expect(told).toEqual(['opened', 'a', 'b'])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('an event whose line does not end has not come', async () => {
    engine.answer = text(200, eventLine('a') + eventLine('b').trimEnd())
    const { told, ended } = watch()
    await ended
    expect(told).toEqual(['opened', 'a'])
  })

  test('is silent as long as nothing happens, far beyond the time that a call may take', async () => {
    const stream = openStream()
    const { told, ended, controller } = watch({ swarm: swarmAt(engine, 1500) })
    const response = await stream
    await vi.waitFor(() => expect(told).toEqual(['opened']))
    await sleep(2000)
    response.write(eventLine('a'))
    await vi.waitFor(() => expect(told).toEqual(['opened', 'a']))
    controller.abort()
    expect(await ended).toBe('resolved')
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
  ])('rejects for %i %s', async (status, body, code) => {
    engine.answer = text(status, body)
    const { told, ended } = watch()
    expect(await ended).toMatchObject({ code, message: expect.stringContaining('watch services') })
    expect(told).toEqual([])
  })

  test('rejects when nobody answers in time, and leaves no connection', async () => {
    const { told, ended } = watch({ swarm: swarmAt(engine, 300) })
    expect(await ended).toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('no answer within 300 ms'),
    })
    expect(told).toEqual([])
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
  })

  test('rejects when a refusal never ends', async () => {
    engine.answer = (_, response) => response.writeHead(500).write('{"mess')
    const { ended } = watch({ swarm: swarmAt(engine, 300) })
    expect(await ended).toMatchObject({ code: 'engine-unreachable' })
  })

  test('rejects when the engine is not there', async () => {
    await engine.close()
    expect(await watch().ended).toMatchObject({ code: 'engine-unreachable' })
  })

  test('rejects when the stream breaks', async () => {
    const stream = openStream()
    const { told, ended } = watch()
    const response = await stream
    response.write(eventLine('a'))
    await vi.waitFor(() => expect(told).toEqual(['opened', 'a']))
    response.destroy()
    expect(await ended).toMatchObject({
      code: 'engine-unreachable',
      message: expect.stringContaining('(aborted)'),
    })
  })

  test('rejects when the engine ends half of the connection in the middle of a chunk', async () => {
    const loopback = await tcpLoopback((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"Type"'),
      )
    })
    const { told, ended } = watch({ swarm: swarmAt(loopback) })
    expect(await ended).toMatchObject({ code: 'engine-unreachable' })
    expect(told).toEqual(['opened'])
    await loopback.close()
  })

  test('resolves on abort before, while and after it connects, and leaves no connection', async () => {
    const early = watch()
    early.controller.abort()
    expect(await early.ended).toBe('resolved')

    const waiting = watch()
    await vi.waitFor(() => expect(engine.requests.length).toBeGreaterThan(0))
    waiting.controller.abort()
    expect(await waiting.ended).toBe('resolved')

    const stream = openStream()
    const late = watch()
    await stream
    await vi.waitFor(() => expect(late.told).toEqual(['opened']))
    late.controller.abort()
    expect(await late.ended).toBe('resolved')
    await vi.waitFor(() => expect(engine.openConnections()).toBe(0))

    const signal = AbortSignal.abort()
    await engine.swarm.watchServices({ opened: fail, changed: fail }, { signal })
    expect(engine.requests.length).toBeLessThanOrEqual(3)
  })

  test('tells nothing more after an abort, not even of what came in the same piece', async () => {
    engine.answer = (_, response) => {
      response.writeHead(200).write(eventLine('a') + eventLine('b'))
    }
    const controller = new AbortController()
    const changed = vi.fn(() => controller.abort())
    await engine.swarm.watchServices({ opened() {}, changed }, { signal: controller.signal })
    expect(changed).toHaveBeenCalledTimes(1)
  })

  test('a signal is not held on to', async () => {
    engine.answer = text(200, '')
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    await engine.swarm.watchServices({ opened() {}, changed() {} }, { signal })
    await vi.waitFor(() => {
      expect(added).toHaveBeenCalled()
      expect(removed).toHaveBeenCalledTimes(added.mock.calls.length)
    })
  })

  test.each(['opened', 'changed'])(
    'a listener whose %s throws ends the watch, and nothing else',
    async (method) => {
      const fault = new Error('of the listener')
      engine.answer = (_, response) => {
        response.writeHead(200).write(eventLine('a'))
      }
      const listener = {
        opened() {},
        changed() {},
        [method]: () => {
          throw fault
        },
      }
      const { signal } = new AbortController()
      await expect(engine.swarm.watchServices(listener, { signal })).rejects.toMatchObject({
        code: 'internal-error',
        cause: fault,
      })
      await vi.waitFor(() => expect(engine.openConnections()).toBe(0))
    },
  )

  test('lets the kernel probe whether the other end is still there', async () => {
    const keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive')
    engine.answer = text(200, '')
    await watch().ended
    expect(keepAlive).toHaveBeenCalledWith(true, 15_000)
    keepAlive.mockRestore()
  })

  test('works over ssh, ends its program with the watch, and breaks when that breaks', async () => {
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
    const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`)

    const stream = openStream()
    const { told, controller, ended } = watch({ swarm })
    const response = await stream
    response.write(eventLine('a'))
    await vi.waitFor(() => expect(told).toEqual(['opened', 'a']), 5000)
    controller.abort()
    expect(await ended).toBe('resolved')
    await vi.waitFor(() => expect(pids().every(isGone)).toBe(true), 5000)

    const again = openStream()
    const broken = watch({ swarm })
    await again
    await vi.waitFor(() => expect(broken.told).toEqual(['opened']), 5000)
    process.kill(pids().at(-1) ?? 0, 'SIGKILL')
    expect(await broken.ended).toMatchObject({ code: 'engine-unreachable' })
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  test('as many watches as there may be calls leave room for calls', async () => {
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
      () => expect(watches.every(({ told }) => told.length === 1)).toBe(true),
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
  throw new Error('nothing was to be told')
}
