// The code of the README and of the documents, compiled and run.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createWebhook } from '../src/notification/webhook/webhook.ts'
import { exampleEvent } from './support/example-event.ts'

const ROOT = join(import.meta.dirname, '..')
// Below the project, so that its packages are found; not below .cache, which nothing cleans.
const FOLDER = join(ROOT, '.docs-test')

const blocks = ['README.md', 'docs/embedding.md', 'docs/notifications.md'].flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, code = ''], n) => ({ file, n, code }),
  ),
)
const deployers = blocks.filter(({ file }) => file !== 'docs/notifications.md')
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

test.each(deployers)('example $n of $file is a handler that asks for a token', async (block) => {
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

test('the receiver of docs/notifications.md takes what was signed with its secret, and nothing else', async () => {
  const receiver = { file: 'docs/notifications.md', n: 0 }
  const code = blocks.find(({ file }) => file === receiver.file)?.code ?? ''
  const module = await import(pathToFileURL(join(FOLDER, moduleName(receiver))).href)
  const statuses: number[] = []
  const secret = /whsec_[^']+/.exec(code)?.[0] ?? ''
  for (const signedWith of [secret, `whsec_${btoa('x'.repeat(24))}`]) {
    const webhook = createWebhook({
      name: 'receiver',
      url: 'http://receiver/hook',
      secret: signedWith,
      fetch: async (...request) => {
        const answer = await module.default.fetch(new Request(...request))
        statuses.push(answer.status)
        return answer
      },
    })
    await webhook.deliver(exampleEvent(), new AbortController().signal).catch(() => {})
  }
  expect(statuses).toEqual([204, 401])
})
