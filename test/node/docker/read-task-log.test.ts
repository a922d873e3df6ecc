// Reading the log of a task through the dockerode adapter, from scripted engines.

import { getEventListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ScriptedEngine, scriptedEngine, text } from '../../support/scripted-engine.ts'

const MEBIBYTE = 1024 * 1024

let engine: ScriptedEngine

beforeEach(async () => {
  engine = await scriptedEngine()
})

afterEach(async () => {
  vi.restoreAllMocks()
  await engine.close()
})

const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 30_000 })

function frame(output: number, content: string): Buffer {
  const header = Buffer.from([output, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(Buffer.byteLength(content), 4)
  return Buffer.concat([header, Buffer.from(content)])
}

/** Replaces the timeout of the log: the test decides when the time is up. */
function controlledTimeout(): AbortController {
  const controller = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(controller.signal)
  return controller
}

test('requests both outputs and the given number of lines, and returns them', async () => {
  engine.answer = text(200, `${frame(1, 'one\n')}${frame(2, 'err\n')}`)
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('one\nerr')
  expect(engine.requests[0]?.line).toBe('GET /tasks/t1/logs?stdout=1&stderr=1&tail=20')
})

test('frames may arrive byte by byte', async () => {
  engine.answer = async (_, response) => {
    response.writeHead(200)
    response.socket?.setNoDelay(true)
    for (const byte of Buffer.concat([frame(1, 'è€😀\n'), frame(2, 'err\n')])) {
      response.write(Buffer.from([byte]))
      await nextTurn()
    }
    response.end()
  }
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('è€😀\nerr')
})

test('the output of a task with a terminal has no frames', async () => {
  const type = { 'Content-Type': 'application/vnd.docker.raw-stream' }
  engine.answer = text(200, '\x01\0\0\0 is the output\r\n', type)
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe(' is the output')
})

test.each([404, 500, 503])('the log is empty if the engine answers %i', async (status) => {
  engine.answer = text(status, '{"message":"task t1 not found"}')
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('')
})

test('the log is empty if the engine cannot be reached', async () => {
  await engine.close()
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('')
})

test('the log is empty if the engine does not respond before the timeout', async () => {
  const timeout = controlledTimeout()
  const log = engine.swarm.readTaskLog('t1', 20)
  await eventually(() => expect(engine.requests).toHaveLength(1))
  timeout.abort()
  expect(await log).toBe('')
  await eventually(() => expect(engine.openConnections()).toBe(0))
})

test('the output before a broken connection is returned', async () => {
  engine.answer = (_, response) => {
    response.writeHead(200).write(frame(1, 'one\n'), () => response.destroy())
  }
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('one')
})

test('of a stream that never ends, the output of the first 3 s is returned', async () => {
  engine.answer = (_, response) => response.writeHead(200).write(frame(1, 'so far\n'))
  const startedAt = performance.now()
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('so far')
  // Only a lower limit: a busy machine takes longer.
  expect(performance.now() - startedAt).toBeGreaterThan(2900)
  await eventually(() => expect(engine.openConnections()).toBe(0))
})

test('a log of 200 MiB is not kept in memory', async () => {
  const timeout = controlledTimeout()
  const piece = frame(1, `${'x'.repeat(65_535)}\n`)
  let sentBytes = 0
  engine.answer = (_, response) => {
    const sendMore = (): void => {
      while (sentBytes < 200 * MEBIBYTE) {
        sentBytes += piece.length
        if (!response.write(piece)) return
      }
    }
    response.writeHead(200).on('drain', sendMore)
    sendMore()
  }
  const before = usedMemory()
  const log = engine.swarm.readTaskLog('t1', 20)
  await eventually(() => expect(sentBytes).toBeGreaterThanOrEqual(200 * MEBIBYTE))
  expect(usedMemory() - before).toBeLessThan(50 * MEBIBYTE)
  timeout.abort()
  expect(await log).toMatch(/^x+$/)
  expect((await log).length).toBeLessThanOrEqual(8192)
})

test('reading a log leaves no listener on its signal', async () => {
  const { signal } = controlledTimeout()
  engine.answer = text(200, `${frame(1, 'one\n')}`)
  expect(await engine.swarm.readTaskLog('t1', 20)).toBe('one')
  await eventually(() => expect(getEventListeners(signal, 'abort')).toEqual([]))
})

/** Memory in use after a garbage collection, in bytes. */
function usedMemory(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
