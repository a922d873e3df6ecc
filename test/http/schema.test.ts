// The type of the app: it compiles and works on every supported Hono, and it has every route.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDeployer } from '../../src/deployer.ts'
import type { DeployerSchema } from '../../src/http/schema.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import type { callEveryRoute } from '../support/typed-client.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLIENT = join(ROOT, 'test/support/typed-client.ts')
const FOLDER = join(ROOT, '.cache/typed-client')
const require = createRequire(import.meta.url)

interface ClientModule {
  readonly callEveryRoute: typeof callEveryRoute
}

beforeAll(() => void mkdirSync(FOLDER, { recursive: true }))
afterAll(() => rmSync(FOLDER, { recursive: true }))

describe.each(['hono', 'hono-lowest'])('a typed client on the package %s', (name) => {
  const directory = require.resolve(name).replace(/\/dist\/.*$/, '')
  const { version, exports } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))

  test('has the version that package.json requires', () => {
    expect(version).toMatch(name === 'hono' ? /^4\.(?:1[3-9]|[2-9]\d)\./ : /^4\.4\.0$/)
  })

  test('compiles', () => {
    const paths: Record<string, readonly string[]> = {}
    for (const [path, { types }] of Object.entries<{ types?: string }>(exports)) {
      if (types !== undefined && !path.includes('*')) {
        paths[`hono${path.slice(1)}`] = [join(directory, types)]
      }
    }
    const compilerOptions = { isolatedDeclarations: false, paths }
    const config = { extends: '../../tsconfig.json', compilerOptions, include: [CLIENT] }
    const file = join(FOLDER, `${name}.json`)
    writeFileSync(file, JSON.stringify(config))
    const { stdout, status } = spawnSync('npx', ['tsc', '-p', file, '--listFiles'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    const honoFiles = stdout.split('\n').filter((line) => /\/node_modules\/hono[^/]*\//.test(line))
    expect([status, stdout.split('\n').filter((line) => line.includes('error TS'))]).toEqual([
      0,
      [],
    ])
    expect(honoFiles.length).toBeGreaterThan(0)
    expect(honoFiles.filter((line) => !line.startsWith(`${directory}/`))).toEqual([])
  })

  test('calls every route, under app.route and without a gateway', async () => {
    const outfile = join(FOLDER, `${name}.mjs`)
    await build({
      ...{ entryPoints: [CLIENT], outfile, absWorkingDir: ROOT },
      ...{ bundle: true, format: 'esm', platform: 'node', logLevel: 'error' },
      ...(name === 'hono' ? {} : { alias: { hono: name } }),
    })
    expect(readFileSync(outfile, 'utf8')).toContain(`node_modules/${name}/dist/`)
    const module: ClientModule = await import(pathToFileURL(outfile).href)
    expect(await module.callEveryRoute()).toEqual({
      verdict: 'converged',
      problem: 'service-not-found',
      wouldUpdate: true,
      service: expect.stringContaining('me/app:v2@sha256:'),
      history: ['converged'],
      services: ['blog'],
      deployment: 'converged',
      healthz: 'ok\n',
      direct: 200,
    })
  })
})

type Routes<Path extends keyof DeployerSchema> = {
  [Method in keyof DeployerSchema[Path]]: Method extends `$${infer Name}`
    ? `${Uppercase<Name>} ${Path}`
    : never
}[keyof DeployerSchema[Path]]

/** The compiler requires each route of the schema here, and no other. */
const SCHEMA_ROUTES: Readonly<
  Record<{ [P in keyof DeployerSchema]: Routes<P> }[keyof DeployerSchema], true>
> = {
  'GET /service/:name': true,
  'PUT /service/:name': true,
  'GET /service/:name/history': true,
  'GET /services': true,
  'GET /deployments/:id': true,
  'GET /healthz': true,
}

test('the schema has each route of the app, and no other', () => {
  const app = createDeployer({ token: 'SOME_TOKEN', swarm: createFakeSwarm() })
  const routes = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path}`)
    .map((route) =>
      route.replace(':deployer_service', ':name').replace(':deployer_deployment', ':id'),
    )
  expect([...new Set(routes)].sort()).toEqual(Object.keys(SCHEMA_ROUTES).sort())
})
