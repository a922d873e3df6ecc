// Unusual responses of registries: callers get an error code, and nothing of the response.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { ALLOWED, type LabDeployer, removeServices, startLabDeployer } from './lab-deployer.ts'
import {
  type ScriptedAnswer,
  type ScriptedRegistry,
  startScriptedRegistry,
} from './scripted-registry.ts'
import { sharedLab } from './shared-lab.ts'
import { waitFor } from './wait.ts'

const lab = sharedLab()
// A word of the response, which may come from an internal server of the manager's network.
const MARK = 'internal-word'
const HTML = `<html>${MARK}</html>`
const jsonOf = (code: string): string => JSON.stringify({ errors: [{ code, message: MARK }] })

const ANSWERS: Readonly<Record<string, ScriptedAnswer & { readonly code: string }>> = {
  'absent-html': { status: 404, body: HTML, code: 'image-not-found' },
  'absent-json': { status: 404, body: jsonOf('MANIFEST_UNKNOWN'), code: 'image-not-found' },
  'forbidden-html': { status: 403, body: HTML, code: 'image-not-readable' },
  'forbidden-json': { status: 403, body: jsonOf('DENIED'), code: 'image-not-readable' },
  ...Object.fromEntries(
    [400, 402, 410, 451].flatMap((status) => [
      [`s${status}-html`, { status, body: HTML, code: 'image-not-readable' }],
      [`s${status}-empty`, { status, body: '{}', code: 'image-not-readable' }],
      // Two codes of the registry API, and one that the engine does not recognise.
      ...['NAME_INVALID', 'UNSUPPORTED', 'GONE'].map((name) => [
        `s${status}-${name.toLowerCase().replace('_', '-')}`,
        { status, body: jsonOf(name), code: 'image-not-readable' },
      ]),
    ]),
  ),
  // The engine quotes this response and escapes its quotes.
  quotes: { status: 410, body: 'a"b dial tcp "c', code: 'image-not-readable' },
  redirect: {
    status: 307,
    headers: { Location: `http://127.0.0.1:1/${MARK}` },
    code: 'registry-unavailable',
  },
  realm: {
    status: 401,
    headers: { 'WWW-Authenticate': `Bearer realm="http://127.0.0.1:1/${MARK}",service="x"` },
    code: 'image-not-readable',
  },
  broken: { status: 500, body: HTML, code: 'registry-unavailable' },
  page: {
    status: 200,
    headers: { 'Content-Type': 'text/html' },
    body: HTML,
    code: 'registry-unavailable',
  },
}

let registry: ScriptedRegistry
let deployer: LabDeployer

beforeAll(async () => {
  registry = await startScriptedRegistry(ANSWERS)
  deployer = await startLabDeployer(lab.engine)
  await lab.createService({
    name: 'strange',
    image: lab.image('lab/app:v1'),
    labels: ALLOWED,
    replicas: 0,
  })
})

afterAll(async () => {
  await deployer.kill()
  await removeServices(lab.engine)
  registry.close()
})

test.each(['UPPER/case:v1', '[::1]:5000/x:v1'])(
  '%s, which this engine does not support, is invalid-image-reference',
  async (image) => {
    const { status, body } = await deployer.put('strange', image)
    expect([status, body.code]).toEqual([400, 'invalid-image-reference'])
    expect(body.detail).toContain('this version of Docker Engine does not support')
  },
)

test.each(Object.entries(ANSWERS))(
  'the repository %s gets its error code',
  async (repository, { code }) => {
    const image = `${registry.address}/${repository}:v1`
    const { body } = await deployer.put('strange', image)
    // The log line may arrive before or after the response.
    const line = await waitFor(`the log line of ${repository}`, () =>
      deployer.process.log().findLast((one) => one.image === image),
    )
    expect(body.code).toBe(code)
    expect(JSON.stringify(body)).not.toContain(MARK)
    expect(line).toMatchObject({ code, cause: expect.stringMatching(/./) })
  },
)
