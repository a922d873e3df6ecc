// The log while standard output cannot be written: Deployer goes on, and logs the number of missing lines.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, type TestContext, test, vi } from 'vitest'
import { freePorts } from '../../lab/ports.ts'
import { builtSource } from '../../support/built-program.ts'
import { type CurlAnswer, curl } from '../../support/curl.ts'
import { type DeployerProcess, startDeployer } from '../../support/deployer-process.ts'
import { httpLoopback, type Loopback } from '../../support/loopback.ts'
import { spawnOwned } from '../../support/owned-process.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`
const PATIENCE = { timeout: 40_000, interval: 50 }

interface Fixture {
  readonly folder: string
  /** The directory of a small disk of its own. */
  readonly disk: string
  /** Opens a file until the end of the test. */
  open(path: string, flags: number): number
}

/** Removes the directory and unmounts the disk after the test. */
function setUp({ onTestFinished }: TestContext): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'process-log-'))
  const disk = join(folder, 'disk')
  const descriptors: number[] = []
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk])
  onTestFinished(() => {
    for (const descriptor of descriptors) {
      closeSync(descriptor)
    }
    execFileSync('umount', ['--lazy', disk])
    rmSync(folder, { recursive: true })
  })
  return {
    folder,
    disk,
    open(path, flags) {
      const descriptor = openSync(path, flags, 0o600)
      descriptors.push(descriptor)
      return descriptor
    },
  }
}

async function startEngine({ onTestFinished }: TestContext): Promise<Loopback> {
  const engine = await httpLoopback(({ method, url = '' }, response) => {
    if (url.startsWith('/events')) {
      response.flushHeaders()
    } else if (url.startsWith('/distribution')) {
      response.end(JSON.stringify({ Descriptor: { digest: DIGEST }, Platforms: [] }))
    } else if (url.startsWith('/tasks') || url === '/nodes') {
      response.end('[]')
    } else if (method === 'POST') {
      response.end('{}')
    } else {
      const Labels = { 'deployer.allowUpdates': 'true' }
      const TaskTemplate = { ContainerSpec: { Image: 'me/blog:v1' } }
      const Spec = { Name: 'blog', Labels, TaskTemplate }
      response.end(JSON.stringify({ ID: 'a'.repeat(25), Version: { Index: 7 }, Spec }))
    }
  })
  onTestFinished(() => engine.close())
  return engine
}

/** An output of a process, and its reader. */
interface Output {
  readonly descriptor: number
  /** Makes writing possible where it was not. */
  clear(): void
  /** Everything that was written to it after `clear`. */
  text(): string
}

/** Writes until writing fails, and returns the number of written bytes. */
function fill(descriptor: number): number {
  let bytes = 0
  try {
    for (const block of [Buffer.alloc(65_536, ' '), Buffer.alloc(1, ' ')]) {
      for (;;) bytes += writeSync(descriptor, block)
    }
  } catch {
    // It is full, or almost full.
  }
  return bytes
}

function fileOnFullDisk({ disk, open }: Fixture): Output {
  const file = join(disk, 'log')
  const descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT)
  const filler = join(disk, 'filler')
  const writer = openSync(filler, 'w')
  fill(writer)
  closeSync(writer)
  expect(statfsSync(disk).bavail).toBe(0)
  return {
    descriptor,
    clear: () => writeFileSync(filler, ''),
    text: () => readFileSync(file, 'utf8'),
  }
}

function unreadPipe({ folder, open }: Fixture): Output {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = open(path, O_RDONLY | O_NONBLOCK)
  const filler = open(path, O_WRONLY | O_NONBLOCK)
  let fillerBytes = fill(filler)
  // The descriptor is a blocking one, like those of shells and Docker.
  const descriptor = open(path, O_WRONLY)
  let received = ''
  let isCleared = false
  const read = (): void => {
    const buffer = Buffer.alloc(65_536)
    try {
      for (let count = 1; count > 0; ) {
        count = readSync(reader, buffer)
        const skipped = Math.min(fillerBytes, count)
        fillerBytes -= skipped
        received += buffer.toString('latin1', skipped, count)
      }
    } catch {
      // It is empty.
    }
  }
  return {
    descriptor,
    clear() {
      isCleared = true
    },
    text() {
      if (isCleared) read()
      return received
    },
  }
}

function pipeWithoutReader({ folder, open }: Fixture): Output {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, O_RDONLY | O_NONBLOCK)
  const descriptor = open(path, O_WRONLY)
  closeSync(reader)
  let received = ''
  let newReader: number | undefined
  return {
    descriptor,
    clear() {
      newReader = open(path, O_RDONLY | O_NONBLOCK)
    },
    text() {
      const buffer = Buffer.alloc(65_536)
      try {
        for (let count = 1; count > 0 && newReader !== undefined; ) {
          count = readSync(newReader, buffer)
          received += buffer.toString('latin1', 0, count)
        }
      } catch {
        // It is empty.
      }
      return received
    },
  }
}

function fullDevice({ open }: Fixture): Output {
  const descriptor = open('/dev/full', O_RDWR)
  return { descriptor, clear: () => {}, text: () => '' }
}

const CLEARABLE_OUTPUTS: readonly (readonly [string, (fixture: Fixture) => Output])[] = [
  ['a file on a full disk', fileOnFullDisk],
  ['a pipe that is not read', unreadPipe],
  ['a pipe without a reader', pipeWithoutReader],
]
const OUTPUTS = [...CLEARABLE_OUTPUTS, ['/dev/full', fullDevice] as const]

/** The messages of complete lines. */
function messages(text: string): readonly unknown[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).msg)
}

describe.concurrent('standard output that cannot be written', () => {
  interface Running {
    readonly deployer: DeployerProcess
    deploy(image: string): Promise<CurlAnswer>
    endBySigterm(): Promise<number | null>
  }

  async function startOn(output: Output, context: TestContext): Promise<Running> {
    const engine = await startEngine(context)
    const [port = 0] = await freePorts(1)
    const BIND = `127.0.0.1:${port}`
    const DOCKER_HOST = `tcp://127.0.0.1:${engine.port}`
    // The scripted engine has no configs, which the log would report at an arbitrary time.
    const env = { TOKEN: 'x', BIND, DOCKER_HOST, HISTORY: 'label' }
    const deployer = startDeployer({ env, stdout: output.descriptor })
    context.onTestFinished(async () => {
      deployer.kill('SIGKILL')
      await deployer.ended()
    })
    await vi.waitFor(() => isListening(port), PATIENCE)
    return {
      deployer,
      deploy(image) {
        const put = ['-X', 'PUT', '-H', 'Authorization: x', '-d', JSON.stringify({ image })]
        return curl(...put, `http://${BIND}/service/blog`)
      },
      async endBySigterm() {
        deployer.kill('SIGTERM')
        return (await deployer.ended()).status
      },
    }
  }

  test.for(OUTPUTS)(
    '%s: deployments succeed, and SIGTERM ends the process',
    async ([, createOutput], context) => {
      const { deploy, endBySigterm, deployer } = await startOn(
        createOutput(setUp(context)),
        context,
      )
      for (const tag of ['v2', 'v3', 'v4']) {
        expect((await deploy(`me/blog:${tag}`)).status).toBe(200)
      }
      expect(await endBySigterm()).toBe(0)
      expect(deployer.output.stderr).toBe('')
    },
  )

  test.for(CLEARABLE_OUTPUTS)(
    '%s: the lines are written, each of them whole, once writing is possible',
    async ([, createOutput], context) => {
      const output = createOutput(setUp(context))
      const { deploy, endBySigterm } = await startOn(output, context)
      expect((await deploy('me/blog:v2')).status).toBe(200)
      expect(output.text()).toBe('')
      output.clear()
      await vi.waitFor(
        () => expect(messages(output.text())).toContain('deployment accepted'),
        PATIENCE,
      )
      expect(await endBySigterm()).toBe(0)
      expect(messages(output.text()).slice(-2)).toEqual(['shutting down', 'stopped'])
    },
  )
})

describe.concurrent('more lines than the log keeps', () => {
  const source = fileURLToPath(new URL('../../../src/node/process/process-log.ts', import.meta.url))
  // 60,000 lines are more than 4 MiB. Further lines follow at intervals.
  const program = `
    import { writeSync } from 'node:fs'
    import { createProcessLog } from ${JSON.stringify(source)}
    const { logger } = createProcessLog()
    let n = 0
    for (; n < 60000; n += 1) logger.info({ n, text: 'x'.repeat(50) }, 'line')
    setInterval(() => logger.info({ n: n++ }, 'line'), 20)
    writeSync(2, 'ready')
  `

  test.for(CLEARABLE_OUTPUTS)(
    '%s: one line has the number of the dropped lines, in their place',
    async ([, createOutput], context) => {
      const output = createOutput(setUp(context))
      const child = spawnOwned(process.execPath, [builtSource(program)], {
        stdio: ['ignore', output.descriptor, 'pipe'],
      })
      context.onTestFinished(() => void child.kill('SIGKILL'))
      let errors = ''
      child.stderr?.on('data', (data) => {
        errors += data
      })
      await vi.waitFor(() => expect(errors).toBe('ready'), PATIENCE)
      output.clear()
      await vi.waitFor(
        () => expect(output.text()).toMatch(/log lines were dropped[^\n]*\n[^\n]*"n":/),
        PATIENCE,
      )
      child.kill('SIGKILL')

      const lines = output.text().split('\n').slice(0, -1)
      let next = 0
      const droppedCounts: number[] = []
      for (const { n, dropped } of lines.map((line) => JSON.parse(line))) {
        if (dropped !== undefined) {
          droppedCounts.push(dropped)
          next += dropped
        } else {
          expect(n).toBe(next)
          next += 1
        }
      }
      expect(droppedCounts).toHaveLength(1)
      expect(droppedCounts[0]).toBeGreaterThan(1000)
      expect(next).toBeGreaterThan(60_000)
    },
  )
})

function isListening(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
