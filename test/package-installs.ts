// Installs the package with several versions of npm, Hono and TypeScript, and bundles it with Rollup.
// It downloads these from the registry that npm is set to, so it is a step of CI and not a test.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { EMBEDDER, EMBEDDER_OUTPUT } from './support/embedder.ts'

const ROOT = join(import.meta.dirname, '..')
const NODE_NEXT = ['--module', 'NodeNext']
const BUNDLER = ['--module', 'ESNext', '--moduleResolution', 'Bundler']
const INSTALLS = [
  { npm: '10', hono: '4.4.0', resolution: NODE_NEXT },
  { npm: '11', hono: '4.4.0', resolution: BUNDLER },
  { npm: '12', hono: '4', resolution: NODE_NEXT },
] as const
const INSTALLED = ['@noble', '@types', 'eta', 'hono', 'lru-cache', 'swarm-deployer', 'typescript']
const folder = mkdtempSync(join(tmpdir(), 'deployer-installs-'))

try {
  const tarball = run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT)
  for (const install of INSTALLS) {
    const project = createProject(`npm-${install.npm}`)
    installAndRun(project, { ...install, tarball: join(folder, lastLine(tarball)) })
    process.stdout.write(`npm ${install.npm}, hono@${install.hono}: installed, compiled and run\n`)
  }
  bundleWithRollup(join(folder, 'npm-12'))
  process.stdout.write('Rollup: bundled\n')
} finally {
  rmSync(folder, { recursive: true })
}

interface Install {
  readonly npm: string
  readonly hono: string
  /** Flags of the compiler. */
  readonly resolution: readonly string[]
  readonly tarball: string
}

function installAndRun(project: string, install: Install): void {
  const { npm, hono, resolution, tarball } = install
  const packages = [tarball, `hono@${hono}`, 'typescript@5.9', '@types/node@20']
  run('npx', ['--yes', `npm@${npm}`, 'install', '--no-audit', '--no-fund', ...packages], project)
  const installed = readdirSync(join(project, 'node_modules')).filter((name) => name[0] !== '.')
  expect('the installed packages', without(installed, 'undici-types'), INSTALLED)
  const nested = join(project, 'node_modules/swarm-deployer/node_modules')
  expect('a second copy of a package', existsSync(nested), false)
  run('node_modules/.bin/deployer', ['--help'], project)
  writeFileSync(join(project, 'program.ts'), EMBEDDER)
  const strict = ['--target', 'ES2022', '--strict', '--types', 'node', 'program.ts']
  run('node_modules/.bin/tsc', [...resolution, ...strict], project)
  expect('the output', JSON.parse(run('node', ['program.js'], project)), EMBEDDER_OUTPUT)
}

function bundleWithRollup(project: string): void {
  const packages = ['rollup@4', '@rollup/plugin-node-resolve@16']
  run('npm', ['install', '--no-audit', '--no-fund', ...packages], project)
  writeFileSync(join(project, 'entry.js'), "export { createDeployer } from 'swarm-deployer'\n")
  const flags = ['--plugin', 'node-resolve', '--failAfterWarnings', '--file', 'bundle.js']
  run('node_modules/.bin/rollup', ['entry.js', '--format', 'es', ...flags], project)
  const program = "import('./bundle.js').then((all) => console.log(Object.keys(all).join()))"
  expect('the exports', run('node', ['-e', program], project).trim(), 'createDeployer')
}

function createProject(name: string): string {
  const project = join(folder, name)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}')
  return project
}

function run(program: string, args: readonly string[], cwd: string): string {
  return execFileSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function expect(name: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) {
    throw new Error(`${name}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
  }
}

function without(names: readonly string[], name: string): readonly string[] {
  return names.filter((other) => other !== name)
}

/** `prepare` prints before npm does. */
function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? ''
}
