// Images with a static busybox, pushed to the loopback registry.

import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineClient } from './engine.ts'
import { findProgram, runProgram } from './processes.ts'

/** The content of an image. */
export interface ImageRecipe {
  /** The content of the file `/version`, which determines the digest. */
  readonly version: string
  /** The script for sh that the container runs. Default: wait for SIGTERM. */
  readonly script?: string
  /** More instructions of a Dockerfile: ENV, EXPOSE, HEALTHCHECK, LABEL, USER, WORKDIR. */
  readonly changes?: readonly string[]
}

const untilTerminated = 'trap "exit 0" TERM; while :; do sleep 3600 & wait; done'

const recipes: Readonly<Record<string, ImageRecipe>> = {
  'lab/app:v1': { version: 'v1' },
  'lab/app:v2': { version: 'v2' },
  'lab/app:v3': { version: 'v3' },
  'lab/app:bad': {
    version: 'bad',
    script: 'echo "blog is starting"; sleep 1; echo "no database at db:5432" >&2; exit 1',
  },
  'lab/app:unhealthy': {
    version: 'unhealthy',
    changes: ['HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD false'],
  },
  'lab/app:slow': {
    version: 'slow',
    changes: ['HEALTHCHECK --interval=10m CMD true'],
  },
  'lab/job:v1': { version: 'job v1', script: 'sleep 1; exit 0' },
  'lab/job:v2': { version: 'job v2', script: 'sleep 1; exit 0' },
}

/**
 * Creates the lab's images and pushes them.
 *
 * @param engine The engine that creates and pushes them.
 * @param registryAddress The registry that gets them.
 */
export async function pushLabImages(engine: EngineClient, registryAddress: string): Promise<void> {
  const pushes = Object.entries(recipes).map(([name, recipe]) =>
    pushImage(engine, `${registryAddress}/${name}`, recipe),
  )
  await Promise.all(pushes)
}

/**
 * Creates an image and pushes it, also if the tag exists.
 *
 * @param engine The engine that creates and pushes it.
 * @param reference The full reference.
 * @param recipe The content of the image.
 */
export async function pushImage(
  engine: EngineClient,
  reference: string,
  recipe: ImageRecipe,
): Promise<void> {
  const folder = await mkdtemp(`${engine.socketPath}.image-`)
  try {
    const archive = join(folder, 'image.tar')
    await makeRoot(join(folder, 'root'), recipe.version)
    await runProgram('tar', ['-C', join(folder, 'root'), '-c', '-f', archive, '.'])
    const command = JSON.stringify(['sh', '-c', recipe.script ?? untilTerminated])
    const changes = [`CMD ${command}`, ...(recipe.changes ?? [])]
    const flags = changes.flatMap((change) => ['--change', change])
    await engine.docker('import', ...flags, archive, reference)
    await engine.docker('push', '--quiet', reference)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeRoot(root: string, version: string): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true })
  await mkdir(join(root, 'tmp'))
  await copyFile(findProgram('busybox') ?? '/bin/busybox', join(root, 'bin/busybox'))
  for (const name of ['sh', 'sleep', 'true', 'false', 'echo', 'cat', 'env']) {
    await symlink('busybox', join(root, 'bin', name))
  }
  await writeFile(join(root, 'version'), `${version}\n`)
}
