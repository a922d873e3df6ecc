// The code of the README and of docs/embedding.md, compiled and run.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
// Below the project, so that its packages are found; not below .cache, which nothing cleans.
const FOLDER = join(ROOT, '.docs-test')

const blocks = ['README.md', 'docs/embedding.md'].flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, code = ''], n) => ({ file, n, code }),
  ),
)
const moduleName = ({ file, n }: { file: string; n: number }): string =>
  `${file.replace(/\W/g, '-')}-${n}.ts`

beforeAll(() => {
  mkdirSync(FOLDER, { recursive: true })
  for (const block of blocks) {
    writeFileSync(join(FOLDER, moduleName(block)), block.code)
  }
  const compilerOptions = {
    isolatedDeclarations: false,
    paths: {
      'swarm-deployer': ['../src/index.ts'],
      'swarm-deployer/node': ['../src/node/index.ts'],
    },
  }
  const config = { extends: '../tsconfig.json', compilerOptions, include: ['*.ts', '../src'] }
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(config))
})

afterAll(() => rmSync(FOLDER, { recursive: true }))

test('every example compiles', () => {
  execFileSync('npx', ['tsc', '-p', FOLDER], { cwd: ROOT, stdio: 'pipe' })
})

test.each(blocks)('example $n of $file is a handler that asks for a token', async (block) => {
  const module = await import(pathToFileURL(join(FOLDER, moduleName(block))).href)
  const paths = ['/service/blog', '/cd/service/blog', '/test/service/blog', '/live/service/blog']
  const statuses = await Promise.all(
    paths.map(async (path) => {
      const request = new Request(`http://gateway${path}`, { method: 'PUT', body: '{}' })
      return (await module.default.fetch(request)).status
    }),
  )
  expect(statuses).toContain(401)
})
