// The package as npm publishes it: its entries, its executable, and the programs that embed it.

import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMBEDDER, EMBEDDER_OUTPUT } from './support/embedder.ts'

const ROOT = join(import.meta.dirname, '..')
const MODULES = join(ROOT, 'node_modules')
const { version, dependencies, peerDependencies } = readJson(join(ROOT, 'package.json'))
const folder = mkdtempSync(join(tmpdir(), 'deployer-package-'))
const unpacked = join(folder, 'unpacked')
// The goal was 32 kB, before there was a history. Hono, lru-cache and the hash take 15 of them.
const MAX_GZIP_KB: Readonly<Record<string, number>> = { createDeployer: 60, createOutbox: 4 }
let buildOutput: string

function run(program: string, args: readonly string[], cwd: string = folder): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: 'pipe' })
}

/** Creates a project that has the package, its dependencies and a Hono, and nothing else. */
function createProject(name: string, hono: string): string {
  const project = join(folder, name)
  const modules = join(project, 'node_modules')
  mkdirSync(modules, { recursive: true })
  cpSync(unpacked, join(modules, 'swarm-deployer'), { recursive: true })
  for (const dependency of [...Object.keys(dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true })
    symlinkSync(join(MODULES, dependency), join(modules, dependency))
  }
  symlinkSync(join(MODULES, hono), join(modules, 'hono'))
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  return project
}

beforeAll(() => {
  const source = join(folder, 'source')
  mkdirSync(source)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'docs']) {
    cpSync(join(ROOT, name), join(source, name), { recursive: true })
  }
  buildOutput = run('node', ['build.mjs', '--out', join(source, 'dist')], ROOT)
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], source)
  mkdirSync(unpacked)
  const tarball = `swarm-deployer-${version}.tgz`
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', unpacked])
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

test('both entries export what the documents name', () => {
  const project = createProject('entries', 'hono')
  writeFileSync(
    join(project, 'entries.js'),
    "import * as core from 'swarm-deployer'\nimport * as node from 'swarm-deployer/node'\nconsole.log(JSON.stringify([Object.keys(core), Object.keys(node)]))\n",
  )
  expect(JSON.parse(run('node', ['entries.js'], project))).toEqual([
    [
      'DeliveryError',
      'DeployerError',
      'createDeployer',
      'createOutbox',
      'createWebhook',
      'defaultBody',
      'deploymentEventNames',
      'problemCodes',
      'urlTemplateError',
    ],
    [
      'TemplateError',
      'createBeanstalkdDestination',
      'createDirectorySpool',
      'createDockerodeSwarm',
      'createEtaRenderer',
      'createRegistryAuthFile',
    ],
  ])
})

describe('the executable', () => {
  test('runs through a link as npm makes it', () => {
    const project = createProject('linked', 'hono')
    const installed = join(project, 'node_modules/swarm-deployer')
    const link = join(project, 'deployer')
    symlinkSync(join(installed, readJson(join(installed, 'package.json')).bin.deployer), link)
    expect(readFileSync(link, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(run(link, ['--version']).trim()).toBe(version)
    expect(run(link, ['--help'])).toContain('--notify-flags')
  })

  test('needs no installed packages and uses nothing that Node warns of', () => {
    const image = join(folder, 'image')
    for (const name of ['package.json', 'dist/node/main.js']) {
      cpSync(join(unpacked, name), join(image, name))
    }
    const main = join(image, 'dist/node/main.js')
    expect(run('node', ['--throw-deprecation', main, '--version']).trim()).toBe(version)
  })

  test('comes with the licences of what it contains', () => {
    const licences = readFileSync(join(unpacked, 'dist/licenses.txt'), 'utf8')
    const names = [...licences.matchAll(/^(\S+) \d\S* \(\S+\)$/gm)].map(([, name]) => name)
    expect(names).toEqual(expect.arrayContaining(['dockerode', 'fivebeans', 'hono', 'pino']))
    for (const name of ['@grpc/grpc-js', 'js-yaml', 'lodash', 'ssh2', 'yargs-parser']) {
      expect(names).not.toContain(name)
    }
  })
})

test('an installer gets Hono as its own and small packages only', () => {
  expect(peerDependencies).toEqual({ hono: '^4.4.0' })
  expect(Object.keys(dependencies)).toEqual(['@noble/hashes', 'eta', 'lru-cache'])
})

describe.each([
  ['the newest Hono', 'hono', ['--module', 'ESNext', '--moduleResolution', 'Bundler']],
  ['the lowest Hono', 'hono-lowest', ['--module', 'NodeNext']],
] as const)('a program with %s', (name, hono, flags) => {
  test('embeds Deployer, and compiles with every check of the libraries', () => {
    const project = createProject(name, hono)
    writeFileSync(join(project, 'program.ts'), EMBEDDER)
    const compiler = join(MODULES, 'typescript/bin/tsc')
    const strict = ['--target', 'ES2022', '--strict', '--types', 'node']
    run('node', [compiler, ...flags, ...strict, 'program.ts'], project)
    expect(JSON.parse(run('node', ['program.js'], project))).toEqual(EMBEDDER_OUTPUT)
  })
})

test('the sizes of the portable imports are those of the documents and within their limits', () => {
  const documented = sizes(readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8'))
  const measured = sizes(buildOutput)
  expect(Object.keys(documented)).toEqual(Object.keys(measured))
  expect(Object.keys(measured)).toEqual(Object.keys(MAX_GZIP_KB))
  for (const [name, size] of Object.entries(measured)) {
    expect(size, name).toBeLessThanOrEqual(MAX_GZIP_KB[name] ?? 0)
    expect(Math.abs(size / (documented[name] ?? 0) - 1), name).toBeLessThan(0.15)
  }
})

/** The last column of a table of sizes. */
function sizes(markdown: string): Readonly<Record<string, number>> {
  const rows = markdown.matchAll(/^\| `(\w+)` \| [\d.]+ kB \| ([\d.]+) kB \|$/gm)
  return Object.fromEntries([...rows].map(([, name = '', size]) => [name, Number(size)]))
}

function readJson(path: string) {
  return JSON.parse(readFileSync(path, 'utf8'))
}
