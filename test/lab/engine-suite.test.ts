// The lab with the Docker Engine of another Debian suite, which LAB_ENGINE_SUITE names.

import { chmod, mkdir, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { enginePrograms } from './engine-packages.ts'
import { labProcesses } from './leftovers.ts'
import { findProgram, runProgram } from './processes.ts'
import { sharedLab } from './shared-lab.ts'

const suite = `${process.env.LAB_ENGINE_SUITE}`
const lab = sharedLab()

async function withTemporaryDirectory(): Promise<string> {
  const directory = await mkdtemp('/tmp/engine-suite-')
  vi.stubEnv('TMPDIR', directory)
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(directory, { recursive: true })
  })
  return directory
}

test('every program of the engine is from the suite', async () => {
  const image = lab.image('lab/app:v1')
  const { name } = await lab.createService({ image })
  await lab.waitRunning(name, image)
  const programs = await enginePrograms(suite)
  expect(programs.join()).toContain(`/engines/${suite}/`)
  const started = await Promise.all(
    (await labProcesses(lab.directory)).map(({ pid }) => readlink(`/proc/${pid}/exe`)),
  )
  for (const program of ['dockerd', 'containerd', 'containerd-shim-runc-v2']) {
    expect(started).toContain(findProgram(program, programs))
  }
})

test('the version that the engine reports is that of its program', async () => {
  const [sbin = ''] = await enginePrograms(suite)
  const { stdout } = await runProgram(join(sbin, 'dockerd'), ['--version'])
  const { text } = await lab.engine.request('GET', '/version')
  expect(stdout).toContain(`version ${JSON.parse(text).Version},`)
})

test('programs are not taken from a directory into which others can write', async () => {
  const directory = join(await withTemporaryDirectory(), 'deployer-lab')
  await mkdir(directory)
  await chmod(directory, 0o777)
  await expect(enginePrograms('planted')).rejects.toThrow('Others can write into')
})

test('a suite that does not exist is named, and leaves nothing in the cache', async () => {
  const directory = await withTemporaryDirectory()
  await expect(enginePrograms('nosuch')).rejects.toThrow('Debian\'s suite "nosuch"')
  expect(await readdir(join(directory, 'deployer-lab/engines'))).toEqual([])
})
