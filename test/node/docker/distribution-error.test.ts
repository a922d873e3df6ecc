import { expect, test } from 'vitest'
import type { DeployerError } from '../../../src/errors.ts'
import { distributionError } from '../../../src/node/docker/distribution-error.ts'
import { EngineHttpError } from '../../../src/node/docker/engine-http-error.ts'
import { ConnectionLostError, TimeoutError } from '../../../src/node/docker/round-trip.ts'

const REFERENCE = 'denied.example.com/unauthorized/toomanyrequests:v9'

const mappedError = (error: unknown, hasCredentials = false): DeployerError =>
  distributionError(error, { reference: REFERENCE, hasCredentials })

// Messages of Docker Engine 20.10 to 29, and of registries behind it.
test.each([
  [404, 'manifest unknown: manifest unknown', 'image-not-found', undefined],
  [404, 'name unknown: repository name not known to registry', 'image-not-found', undefined],
  [
    404,
    'errors:\ndenied: requested access to the resource is denied\n',
    'image-not-found',
    undefined,
  ],
  [404, '', 'image-not-found', undefined],
  [404, 'page not found', 'engine-error', undefined],
  [404, '404 page not found', 'engine-error', undefined],
  [401, 'unauthorized: authentication required', 'image-not-readable', undefined],
  [403, 'denied: requested access to the resource is denied', 'image-not-readable', undefined],
  [403, '', 'image-not-readable', undefined],
  [
    500,
    'Head "http://127.0.0.1:5000/v2/a/manifests/v1": no basic auth credentials',
    'image-not-readable',
    undefined,
  ],
  [500, 'unauthorized: incorrect username or password', 'image-not-readable', undefined],
  [
    500,
    'denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource',
    'image-not-readable',
    undefined,
  ],
  [
    500,
    'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    'image-not-readable',
    undefined,
  ],
  [400, 'unauthorized: authentication required', 'image-not-readable', undefined],
  [
    400,
    'invalid reference format: repository name must be lowercase',
    'invalid-image-reference',
    undefined,
  ],
  [500, 'unknown: artifact team/app:v9 not found', 'image-not-found', undefined],
  [400, 'name invalid: bad name', 'image-not-readable', undefined],
  [400, 'manifest invalid: bad manifest', 'image-not-readable', undefined],
  [405, 'unsupported: not here', 'image-not-readable', undefined],
  [500, 'unknown: gone for good', 'image-not-readable', undefined],
  [500, 'errors:\nunknown: gone\nunknown: for good\n', 'image-not-readable', undefined],
  [500, 'unknown: too many requests', 'registry-unavailable', 30],
  [
    500,
    String.raw`error parsing HTTP 410 response body: invalid character 'a' looking for beginning of value: "a\"b dial tcp \"c"`,
    'image-not-readable',
    undefined,
  ],
  [418, 'short and stout', 'engine-error', undefined],
  [301, '', 'engine-error', undefined],
  [200, 'not JSON: <html>', 'engine-error', undefined],
  [
    403,
    '<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>',
    'engine-error',
    undefined,
  ],
  [429, 'toomanyrequests: You have reached your pull rate limit.', 'registry-unavailable', 30],
  [429, '', 'registry-unavailable', 30],
  [
    500,
    'toomanyrequests: too many failed login attempts for username or IP address',
    'registry-unavailable',
    30,
  ],
  [500, 'received unexpected HTTP status: 429 Too Many Requests', 'registry-unavailable', 30],
  [
    500,
    'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    'registry-unavailable',
    5,
  ],
  [
    500,
    'Get "https://denied.example.com/v2/": dial tcp: lookup unauthorized.example.com on 127.0.0.11:53: no such host',
    'registry-unavailable',
    5,
  ],
  [500, 'Get "https://r.io/v2/": dial unix: connect: permission denied', 'registry-unavailable', 5],
  [
    500,
    'Get "https://r.io/v2/": x509: certificate signed by unknown authority',
    'registry-unavailable',
    5,
  ],
  [
    500,
    'Get "https://r.io/v2/": http: server gave HTTP response to HTTPS client',
    'registry-unavailable',
    5,
  ],
  [
    500,
    'Get "https://r.io/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    'registry-unavailable',
    5,
  ],
  [
    500,
    'Get "https://denied.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)',
    'registry-unavailable',
    5,
  ],
  [500, 'received unexpected HTTP status: 502 Bad Gateway', 'registry-unavailable', 5],
  [500, 'Get "https://unauthorized.io/toomanyrequests": EOF', 'registry-unavailable', 5],
  [
    500,
    `error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: "<html>"`,
    'image-not-found',
    undefined,
  ],
  ...[400, 402, 410, 451].map<[number, string, string, undefined]>((status) => [
    500,
    `error parsing HTTP ${status} response body: no error details found in HTTP response body: "{}"`,
    'image-not-readable',
    undefined,
  ]),
  [
    500,
    `error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: "<html>"`,
    'image-not-readable',
    undefined,
  ],
  [
    500,
    `error parsing HTTP 429 response body: invalid character '<' looking for beginning of value: "<html>"`,
    'registry-unavailable',
    30,
  ],
  [503, 'Service Unavailable', 'registry-unavailable', 5],
  [500, '', 'registry-unavailable', 5],
  [503, 'This node is not a swarm manager. …', 'not-a-manager', undefined],
  [
    503,
    'Swarm is encrypted and needs to be unlocked before it can be used.',
    'swarm-locked',
    undefined,
  ],
])('%i %s', (status, message, code, retryAfterSeconds) => {
  const cause = new EngineHttpError(status, message)
  const error = mappedError(cause)
  expect(error).toMatchObject({ code, retryAfterSeconds, cause })
  expect(error.message).toContain(`Cannot resolve image "${REFERENCE}": `)
  const isAboutTheEngine = code === 'not-a-manager' || code === 'swarm-locked'
  expect(isAboutTheEngine || message === '' || !error.message.includes(message)).toBe(true)
})

test('without access to an image, the message says that it may be absent, and whether Deployer has credentials', () => {
  const cause = new EngineHttpError(401, 'unauthorized: authentication required')
  expect(mappedError(cause).message).toBe(
    `Cannot resolve image "${REFERENCE}": it is absent or private, and Deployer has no credentials for its registry; check name and tag, or give Deployer credentials`,
  )
  expect(mappedError(cause, true).message).toBe(
    `Cannot resolve image "${REFERENCE}": it is absent or private, and the registry refused the credentials that Deployer has for it; check name, tag and credentials`,
  )
})

test.each([
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [503, 'secret.internal: not a swarm manager'],
])('%i %s of a proxy in front of the engine is not an error of the image', (status, message) => {
  const cause = new EngineHttpError(status, message, { isEngineMessage: false })
  const error = mappedError(cause)
  expect(error).toMatchObject({ code: 'engine-error', cause })
  expect(error.message).toContain(`answered ${status}, but not as a Docker Engine does`)
  expect(error.message).not.toContain(message)
})

test('the message for an absent image recommends to push it', () => {
  expect(mappedError(new EngineHttpError(404, 'manifest unknown: manifest unknown')).message).toBe(
    `Cannot resolve image "${REFERENCE}": the registry does not have it; push it first, or check name and tag`,
  )
})

test('an engine that does not respond before the timeout waits for the registry', () => {
  expect(mappedError(new ConnectionLostError(new TimeoutError(12_000)))).toMatchObject({
    code: 'registry-unavailable',
    retryAfterSeconds: 5,
    message: expect.stringContaining('no answer within 12000 ms'),
  })
})

test.each([
  ['was never reached', new TimeoutError(12_000)],
  ['refused the connection', new Error('connect ECONNREFUSED')],
  ['closed the connection', new ConnectionLostError(new Error('socket hang up'))],
])('an engine that %s is engine-unreachable', (_, error) => {
  expect(mappedError(error)).toMatchObject({ code: 'engine-unreachable', cause: error })
})
