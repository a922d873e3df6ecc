// The README and the documents: the examples compile and run, the stack files are valid, the settings
// and links are complete.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createDeployer } from '../src/index.ts'
import { readNotifyFlags } from '../src/node/settings/notify-flags.ts'
import { SETTINGS } from '../src/node/settings/setting-list.ts'
import { createSettingsIssues } from '../src/node/settings/settings-issue.ts'
import { deploymentEventNames } from '../src/notification/deployment-event.ts'
import { createWebhook } from '../src/notification/webhook/webhook.ts'
import { exampleEvent } from './support/example-event.ts'
import { createFakeSwarm } from './support/fake-swarm.ts'
import { codeUnder, fencedBlocks } from './support/fenced-blocks.ts'

const ROOT = join(import.meta.dirname, '..')
// Below the project, so that its packages are found; not below .cache, which is never cleaned.
const FOLDER = join(ROOT, '.docs-test')

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const blocks = ['README.md', 'docs/embedding.md', 'docs/notifications.md'].flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, code = ''], n) => ({ file, n, code }),
  ),
)
const deployers = blocks.filter(
  ({ file, code }) => file !== 'docs/notifications.md' && code.includes('export default'),
)
const moduleName = ({ file, n }: { file: string; n: number }): string =>
  `${file.replace(/\W/g, '-')}-${n}.ts`

/** Imports the first example of docs/embedding.md that contains a text. */
async function importEmbedding(text: string) {
  const block = blocks.find(({ file, code }) => file === 'docs/embedding.md' && code.includes(text))
  if (block === undefined) throw new Error(`docs/embedding.md has no example with ${text}`)
  return import(pathToFileURL(join(FOLDER, moduleName(block))).href)
}

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

describe('the examples in TypeScript', () => {
  test('compile', () => {
    execFileSync('npx', ['tsc', '-p', FOLDER], { cwd: ROOT, stdio: 'pipe' })
  })

  test.each(deployers)('number $n of $file is a handler that requires a token', async (block) => {
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

  test('for a Swarm without events get the verdict by polling', async () => {
    const code = blocks.find((block) => block.code.includes('watchServices'))?.code
    expect(code).toContain('async watchServices(_listener, { signal })')
    const swarm = createFakeSwarm()
    swarm.watchServices = async (_listener, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
    swarm.addService('blog')
    swarm.onUpdate = 'none'
    const app = createDeployer({ token: 'SOME_TOKEN', swarm })
    const answer = app.request('/service/blog?wait=50', {
      method: 'PUT',
      headers: { Authorization: 'SOME_TOKEN' },
      body: JSON.stringify({ image: 'me/app:v2' }),
    })
    await expect.poll(() => swarm.calls.filter((call) => call === 'update blog')).toHaveLength(1)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    swarm.rollout('blog').complete()
    expect(await (await answer).json()).toMatchObject({ verdict: 'converged' })
  })

  test('for AWS Lambda answers an event of an HTTP API', async () => {
    const { handler } = await importEmbedding('hono/aws-lambda')
    const answer = await handler({
      version: '2.0',
      routeKey: '$default',
      rawPath: '/service/blog',
      rawQueryString: '',
      headers: { host: 'lambda.example.com' },
      isBase64Encoded: false,
      requestContext: { http: { method: 'PUT', path: '/service/blog' }, stage: '$default' },
    })
    expect(answer.statusCode).toBe(401)
  })

  test('for Vercel answers a request below /api', async () => {
    const { PUT } = await importEmbedding('hono/vercel')
    const request = new Request('http://vercel/api/service/blog', { method: 'PUT', body: '{}' })
    expect((await PUT(request)).status).toBe(401)
  })

  test('for Express is a listener of node:http', async () => {
    const { server } = await importEmbedding('getRequestListener')
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port }: AddressInfo = server.address()
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`)
      expect([answer.status, await answer.text()]).toEqual([200, 'ok\n'])
    } finally {
      server.close()
    }
  })

  test('for a webhook receiver accept what was signed with their secret, and nothing else', async () => {
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
})

describe('the stack files of the README', () => {
  const readme = fencedBlocks('README.md')
  const deployer = parse(codeUnder(readme, 'Run it', { language: 'yaml' }))
  const app = parse(codeUnder(readme, 'Prepare a service', { language: 'yaml' }))

  test('declare every network, secret and volume that they use', () => {
    const { networks, secrets, volumes } = deployer.services.deployer
    expect(Object.keys(deployer.networks)).toEqual(networks)
    expect(Object.keys(deployer.secrets)).toEqual(secrets)
    const named = volumes
      .map((volume: string) => volume.split(':')[0])
      .filter((source: string) => !source.startsWith('/'))
    expect(Object.keys(deployer.volumes)).toEqual(named)
  })

  test('place Deployer on a manager, with the socket and a spool directory', () => {
    const { environment, volumes, deploy } = deployer.services.deployer
    expect(deploy.placement.constraints).toContain('node.role == manager')
    expect(volumes).toContain('/var/run/docker.sock:/var/run/docker.sock')
    expect(volumes).toContain(`spool:${environment.SPOOL_DIR}`)
  })

  test('give Deployer settings that it knows', () => {
    const known = settingsInTable().map(([name]) => name)
    expect(known).toEqual(
      expect.arrayContaining(Object.keys(deployer.services.deployer.environment)),
    )
  })

  test('have the label as a string, and update settings for a true verdict', () => {
    const { healthcheck, deploy } = app.services.web
    expect(deploy.labels['deployer.allowUpdates']).toBe('true')
    expect(deploy.update_config).toMatchObject({ order: 'start-first', failure_action: 'rollback' })
    expect(Number.parseInt(deploy.update_config.monitor, 10)).toBeGreaterThanOrEqual(5)
    expect(healthcheck.test[0]).toBe('CMD')
  })
})

describe('the README', () => {
  test('has fewer than 200 lines', () => {
    expect(README.split('\n').length).toBeLessThanOrEqual(200)
  })

  test('lists every setting with its flag, and no other', () => {
    const dockerTls = ['DOCKER_TLS_VERIFY', 'DOCKER_CERT_PATH']
    const known = Object.entries(SETTINGS)
      .filter(([name]) => !dockerTls.includes(name))
      .map(([name, { flag = '' }]) => [name, flag.split(' ')[0]])
    expect(settingsInTable().toSorted()).toEqual(known.sort())
  })

  test('shows notifications that are valid, with every event that is a failure', () => {
    const code = codeUnder(fencedBlocks('README.md'), 'Notifications', { language: 'sh' })
    const script = code.replace(/^docker secret create \S+ -/m, 'cat')
    const text = execFileSync('sh', ['-c', script], { encoding: 'utf8' })
    const issues = createSettingsIssues()
    const [destination] = readNotifyFlags(text, issues) ?? []
    expect([...issues.errors, ...issues.warnings]).toEqual([])
    const good = ['accepted', 'unchanged', 'superseded']
    const expected = deploymentEventNames.filter((name) => !good.includes(name))
    expect(destination?.events).toEqual(expected)
  })
})

test('docs/operation.md lists log messages that exist', () => {
  const page = readFileSync(join(ROOT, 'docs/operation.md'), 'utf8')
  const [, table = ''] = /^\| `msg` .*\n\|.*\n((?:\|.*\n)+)/m.exec(page) ?? []
  const firstCells = table.split('\n').map((row) => row.split('|')[1] ?? '')
  const messages = firstCells.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  )
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
    .join('\n')
  expect(messages.length).toBeGreaterThan(15)
  expect(messages.filter((message) => !source.includes(message))).toEqual([])
})

test.each(['README.md', 'SECURITY.md', 'CHANGELOG.md', ...documents()])(
  'every relative link of %s leads to a file and a heading',
  (file) => {
    const text = withoutBlocks(readFileSync(join(ROOT, file), 'utf8'))
    const links = [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link)
    const broken = links.filter((link) => {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? join(ROOT, file) : join(ROOT, dirname(file), path)
      return (
        !existsSync(target) || (anchor !== undefined && !anchors(target).includes(`#${anchor}`))
      )
    })
    expect(broken).toEqual([])
  },
)

function documents(): readonly string[] {
  return readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)
}

/** The rows of the table of settings: variable, flag. */
function settingsInTable(): readonly (readonly [string, string])[] {
  return [...README.matchAll(/^\| `([A-Z_]+)` \| (?:`(--[a-z-]+)`)? ?\|/gm)].map(
    ([, name = '', flag = '']) => [name, flag],
  )
}

function withoutBlocks(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '')
}

/** The anchors of a document's headings, as GitHub writes them. */
function anchors(path: string): readonly string[] {
  const headings = [...withoutBlocks(readFileSync(path, 'utf8')).matchAll(/^#+ (.*)$/gm)]
  return headings.map(
    ([, heading = '']) =>
      `#${heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-')}`,
  )
}
