// A replacement for the official image `node:24-alpine`, so that the Dockerfile can be built without Docker
// Hub. It contains busybox, glibc of this machine, and Node and npm from npm; no musl and no apk.

import { existsSync } from 'node:fs'
import { chown, copyFile, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineClient } from './engine.ts'
import { findProgram, runProgram } from './processes.ts'

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const cache = join(projectRoot, '.cache/node-base')

/**
 * Creates the image, unless the engine has it.
 *
 * @param engine The engine that gets the image.
 * @param tag The image's name.
 * @returns The image's name.
 */
export async function ensureNodeBase(
  engine: EngineClient,
  tag: string = 'node:24-alpine',
): Promise<string> {
  if ((await engine.request('GET', `/images/${tag}/json`)).status === 200) return tag
  const packages = await fetchPackages()
  const folder = await mkdtemp(`${engine.socketPath}.node-base-`)
  try {
    const base = join(folder, 'root')
    await makeFolders(base)
    await addShell(base)
    await addNode(base, packages)
    await addSystemFiles(base)
    const archive = join(folder, 'image.tar')
    await runProgram('tar', ['-C', base, '-c', '-f', archive, '.'])
    const changes = [
      'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'CMD ["node"]',
    ]
    const flags = changes.flatMap((change) => ['--change', change])
    await engine.docker('import', ...flags, archive, tag)
    return tag
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Installs Node and npm into the project's cache, once. Gives the path of `node_modules`. */
async function fetchPackages(): Promise<string> {
  const packages = join(cache, 'node_modules')
  const done = join(cache, 'done')
  if (existsSync(done)) return packages
  await rm(cache, { recursive: true, force: true })
  await mkdir(cache, { recursive: true })
  await writeFile(join(cache, 'package.json'), '{ "private": true }\n')
  await runProgram(
    'npm',
    ['install', '--ignore-scripts', '--silent', nodePackage('@24'), 'npm@11'],
    {
      cwd: cache,
      timeoutMs: 300_000,
    },
  )
  await writeFile(done, '')
  return packages
}

function nodePackage(version: string): string {
  return `node-linux-${process.arch}${version}`
}

async function makeFolders(base: string): Promise<void> {
  const folders = [
    'app',
    'bin',
    'dev',
    'etc/ssl/certs',
    'home/node',
    'lib64',
    'proc',
    'root',
    'run',
  ]
  folders.push('sys', 'usr/bin', 'usr/lib', 'usr/local/bin', 'usr/local/etc', 'usr/share', 'var')
  for (const folder of folders) await mkdir(join(base, folder), { recursive: true })
  for (const folder of ['tmp', 'var/tmp']) await mkdir(join(base, folder))
  await runProgram('chmod', ['1777', join(base, 'tmp'), join(base, 'var/tmp')])
  await chown(join(base, 'home/node'), 1000, 1000)
  await symlink('usr/lib', join(base, 'lib'))
  await symlink('bin', join(base, 'sbin'))
  await symlink('bin', join(base, 'usr/sbin'))
}

async function addShell(base: string): Promise<void> {
  const busybox = findProgram('busybox') ?? '/bin/busybox'
  await copyFile(busybox, join(base, 'bin/busybox'))
  const applets = (await runProgram(busybox, ['--list'])).stdout.split('\n').filter(Boolean)
  for (const applet of applets) {
    if (applet !== 'busybox') await symlink('busybox', join(base, 'bin', applet))
  }
  await symlink('/bin/env', join(base, 'usr/bin/env'))
}

async function addNode(base: string, packages: string): Promise<void> {
  const node = join(packages, nodePackage(''), 'bin/node')
  await copyFile(node, join(base, 'usr/local/bin/node'))
  const modules = join(base, 'usr/local/lib/node_modules')
  await cp(join(packages, 'npm'), join(modules, 'npm'), { recursive: true })
  for (const name of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(base, 'usr/local/bin', name))
  }
  const { stdout } = await runProgram('ldd', [node])
  for (const [library] of stdout.matchAll(/\/\S+\.so\S*/g)) {
    await mkdir(dirname(join(base, library)), { recursive: true })
    await copyFile(library, join(base, library))
  }
}

async function addSystemFiles(base: string): Promise<void> {
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  const users = [
    'root:x:0:0:root:/root:/bin/sh',
    'node:x:1000:1000::/home/node:/bin/sh',
    'nobody:x:65534:65534::/:/bin/false',
  ]
  const groups = ['root:x:0:', 'node:x:1000:', 'nogroup:x:65534:']
  await copyFile(certificates, join(base, certificates))
  // npm in the image uses the certificate authorities of this machine.
  await writeFile(join(base, 'usr/local/etc/npmrc'), `cafile=${certificates}\n`)
  await writeFile(join(base, 'etc/passwd'), `${users.join('\n')}\n`)
  await writeFile(join(base, 'etc/group'), `${groups.join('\n')}\n`)
  await writeFile(join(base, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  if (existsSync('/usr/share/zoneinfo')) {
    await cp('/usr/share/zoneinfo', join(base, 'usr/share/zoneinfo'), { recursive: true })
  }
}
