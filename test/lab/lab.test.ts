// The lab itself: its images, its services, its beanstalkd and its removal.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Lab, raiseLab, type SharedLab } from './lab.ts'
import { labProcesses, mountsBelow, removeDeadLabs } from './leftovers.ts'
import { runProgram } from './processes.ts'
import { listTasks, waitRunning } from './services.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()

/** Creates a service that is removed after `use`. */
async function withService(
  lab: SharedLab,
  image: string,
  use: (name: string) => Promise<void>,
): Promise<void> {
  const { name } = await lab.createService({ image })
  try {
    await use(name)
  } finally {
    await lab.engine.docker('service', 'rm', name)
  }
}

/** What exists of a lab: processes, mounts, control groups and the directory. */
async function traces(directory: string): Promise<readonly string[]> {
  const processes = (await labProcesses(directory)).map(({ command }) => command)
  const mounts = await mountsBelow(directory)
  const groups = await runProgram('find', ['/sys/fs/cgroup', '-name', `*${basename(directory)}*`])
  const folder = existsSync(directory) ? [directory] : []
  return [...processes, ...mounts, ...groups.stdout.split('\n').filter(Boolean), ...folder]
}

describe('a service', () => {
  test('runs v1, with its name, labels and replicas', async () => {
    const image = lab.image('lab/app:v1')
    const labels = { 'org.example.deployable': 'true' }
    const { id, name } = await lab.createService({ name: 'web', image, labels, replicas: 2 })
    await lab.waitRunning(id, image, 2)
    const { status, text } = await lab.engine.request('GET', `/services/${name}`)
    expect(status).toBe(200)
    expect(JSON.parse(text).ID).toBe(id)
    expect(JSON.parse(text).Spec).toMatchObject({
      Name: 'web',
      Labels: labels,
      Mode: { Replicated: { Replicas: 2 } },
    })
    await lab.engine.docker('service', 'rm', name)
  })

  test('of the image "bad" fails with exit code 1', async () => {
    await withService(lab, lab.image('lab/app:bad'), async (name) => {
      const failed = await waitFor('a failed task', async () => {
        const tasks = await listTasks(lab.engine, name)
        return tasks.find((task) => task.Status.State === 'failed')
      })
      expect(failed.Status.Err).toContain('non-zero exit (1)')
    })
  })

  test('of the image "unhealthy" starts and never becomes healthy', async () => {
    await withService(lab, lab.image('lab/app:unhealthy'), async (name) => {
      const states = new Set<string>()
      await waitFor('the first task to be stopped', async () => {
        const tasks = await listTasks(lab.engine, name)
        // The engine may report a task that it stops as running for a moment.
        const kept = tasks.filter((task) => task.DesiredState !== 'shutdown')
        for (const task of kept) states.add(task.Status.State)
        return tasks.some((task) => task.DesiredState === 'shutdown')
      })
      expect(states).toContain('starting')
      expect(states).not.toContain('running')
    })
  })

  test('that does not start is reported with the states of its tasks', async () => {
    const image = lab.image('lab/app:v1')
    const { name } = await lab.createService({ image, args: ['--constraint=node.role==worker'] })
    const options = { image, timeoutMs: 300 }
    await expect(waitRunning(lab.engine, name, options)).rejects.toThrow(
      /Timed out after 0.3 s while waiting for 1 tasks of .*:\nslot 1: .*: pending, wanted running no suitable node/,
    )
    await lab.engine.docker('service', 'rm', name)
  })

  test('that does not exist is reported with the message of docker', async () => {
    await expect(lab.engine.docker('service', 'inspect', 'nosuch')).rejects.toThrow(
      /no such service: nosuch/i,
    )
  })
})

describe('an image', () => {
  test('has a digest of its own in the registry', async () => {
    const names = ['app:v1', 'app:v2', 'app:v3', 'app:bad', 'app:unhealthy', 'job:v1']
    const digests = await Promise.all(names.map((name) => lab.registry.digest(`lab/${name}`)))
    for (const digest of digests) expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(new Set(digests).size).toBe(names.length)
    expect(await lab.registry.digest('lab/app:v9')).toBeUndefined()
  })

  test('can be pushed over an existing tag', async () => {
    const reference = await lab.pushImage('lab/moving:latest', { version: 'one' })
    expect(reference).toBe(lab.image('lab/moving:latest'))
    const first = await lab.registry.digest('lab/moving:latest')
    await lab.pushImage('lab/moving:latest', { version: 'two' })
    expect(await lab.registry.digest('lab/moving:latest')).not.toBe(first)
  })
})

describe('a job', () => {
  test('is reserved as it was put, and deleted', async () => {
    const body = Buffer.from([0, 13, 10, 255, ...Buffer.from('größer')])
    const id = await lab.beanstalkd.put('lab-test', body, { pri: 7, ttr: 30 })
    expect(await lab.beanstalkd.countJobs('lab-test')).toBe(1)
    const job = await lab.beanstalkd.reserve('lab-test')
    expect(job).toEqual({ id, body, stats: { pri: 7, delay: 0, ttr: 30 } })
    expect(await lab.beanstalkd.countJobs('lab-test')).toBe(0)
  })

  test('that is missing is reported with the tube', async () => {
    await expect(lab.beanstalkd.reserve('lab-empty', 0)).rejects.toThrow(
      'Timed out after 0 s while waiting for a job in tube "lab-empty"',
    )
  })
})

describe('a lab that this process started', () => {
  async function withLab(use: (lab: Lab) => Promise<void>): Promise<string> {
    const lab = await raiseLab()
    try {
      await use(lab)
    } finally {
      await lab.down()
    }
    return lab.directory
  }

  test('works after its daemons were stopped and killed, and leaves nothing', async () => {
    const directory = await withLab(async (lab) => {
      const image = lab.image('lab/app:v1')
      const { name } = await lab.createService({ image, replicas: 2 })
      await lab.waitRunning(name, image, 2)
      await lab.engine.restart()
      await lab.waitRunning(name, image, 2)
      await lab.engine.kill()
      await expect(lab.engine.request('GET', '/_ping')).rejects.toThrow()
      await lab.engine.start()
      await lab.waitRunning(name, image, 2)

      await lab.beanstalkd.put('kept', 'body')
      await lab.beanstalkd.kill()
      await expect(lab.beanstalkd.countJobs('kept')).rejects.toThrow()
      await lab.beanstalkd.start()
      expect((await lab.beanstalkd.reserve('kept')).body.toString()).toBe('body')

      await lab.registry.stop()
      await expect(lab.registry.digest('lab/app:v1')).rejects.toThrow()
      await lab.registry.start()
      expect(await lab.registry.digest('lab/app:v1')).toBeDefined()
      expect(await traces(lab.directory)).not.toEqual([])
    })
    expect(await traces(directory)).toEqual([])
  })

  test('is removed by the next one after its owner was killed', async () => {
    const script = fileURLToPath(new URL('./raise-and-stay.ts', import.meta.url))
    // In a folder of its own, where no other test file removes the labs of dead processes.
    const TMPDIR = await mkdtemp('/tmp/dead-lab-')
    vi.stubEnv('TMPDIR', TMPDIR)
    onTestFinished(async () => {
      await removeDeadLabs(() => {})
      vi.unstubAllEnvs()
      await rm(TMPDIR, { recursive: true })
    })
    const owner = spawn(process.execPath, ['--import', 'tsx', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [directory] = await once(createInterface(owner.stdout), 'line')
    const ended = once(owner, 'exit')
    owner.kill('SIGKILL')
    await ended
    const left = await labProcesses(directory)
    const programs = left.map(({ command }) => basename(command.split(' ')[0] ?? ''))
    for (const program of ['dockerd', 'containerd', 'docker-registry', 'beanstalkd', 'sh']) {
      expect(programs).toContain(program)
    }
    expect(await mountsBelow(directory)).not.toEqual([])

    await withLab(async () => {
      expect(await traces(directory)).toEqual([])
    })
    // The owner of the shared lab is alive.
    const { status } = await lab.engine.request('GET', '/services')
    expect(status).toBe(200)
  })

  test('creates no bridge in the network of the host', async () => {
    const bridges = async () => {
      const { stdout } = await runProgram('ip', ['-o', '-br', 'link'])
      return stdout.split('\n').filter((line) => line.startsWith('docker'))
    }
    const before = await bridges()
    await withLab(async () => {
      expect(await bridges()).toEqual(before)
    })
    expect(await bridges()).toEqual(before)
  })
})
