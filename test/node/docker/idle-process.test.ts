// A process that embeds the adapter ends by itself once no call is in progress.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Loopback, tcpLoopback } from '../../support/loopback.ts'
import { spawnOwned } from '../../support/owned-process.ts'

const ADAPTER = fileURLToPath(
  new URL('../../../src/node/docker/dockerode-swarm.ts', import.meta.url),
)
const SERVICE = '{"ID":"abc","Version":{"Index":7},"Spec":{"Name":"blog","TaskTemplate":{}}}'
const IMAGE = `{"Descriptor":{"digest":"sha256:${'a'.repeat(64)}"},"Platforms":[]}`
const BODIES: readonly (readonly [RegExp, string])[] = [
  [/^GET \/services\/blog /, SERVICE],
  [/^POST \/services\/abc\/update/, '{}'],
  [/^GET \/distribution\//, IMAGE],
  [/^GET \/(?:tasks|nodes)/, '[]'],
]

let engine: Loopback

// Unlike Node's HTTP server, this engine never closes an idle connection.
beforeEach(async () => {
  engine = await tcpLoopback((socket) => {
    socket.on('data', (data) => {
      const request = data.toString()
      const [, body] = BODIES.find(([pattern]) => pattern.test(request)) ?? []
      if (body !== undefined) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      }
      if (/^GET \/events/.test(request)) {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      }
    })
  })
})

afterEach(() => engine.close())

/** Runs statements that use `swarm` in a process, and returns its output and exit status. */
async function run(statements: string): Promise<readonly [string, number | null]> {
  const program = `
    import { createDockerodeSwarm } from ${JSON.stringify(ADAPTER)}
    const swarm = createDockerodeSwarm({ dockerHost: 'tcp://127.0.0.1:${engine.port}' })
    ${statements}
  `
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const child = spawnOwned(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout?.on('data', (data) => {
    output += data
  })
  const [status] = await once(child, 'close')
  return [output.trim(), status]
}

test('connections that are kept open, and timers of finished calls, do not keep the process alive', async () => {
  const [output, status] = await run(`
    const service = await swarm.inspectService('blog')
    await swarm.updateService(service, service.Spec)
    const { digest } = await swarm.resolveImage('r.io/a:b')
    await Promise.all([swarm.listTasks('abc'), swarm.listNodes(), swarm.listNodes()])
    console.log(await swarm.readTaskLog('t1', 20), digest.length)
  `)
  expect([output, status]).toEqual(['[] 71', 0])
})

test('a watch does not keep the process alive after its end', async () => {
  const [output, status] = await run(`
    const controller = new AbortController()
    const opened = () => controller.abort()
    await swarm.watchServices({ opened, changed() {} }, { signal: controller.signal })
    console.log('ended')
  `)
  expect([output, status]).toEqual(['ended', 0])
})
