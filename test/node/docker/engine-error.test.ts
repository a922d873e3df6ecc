import { expect, test } from 'vitest'
import { engineError, isOutOfSequence } from '../../../src/node/docker/engine-error.ts'
import { EngineHttpError } from '../../../src/node/docker/engine-http-error.ts'

// Messages of Docker Engine 20.10 to 29.
test.each([
  [404, 'service nosuch not found', 'service-not-found', undefined],
  [400, 'service n is ambiguous (2 matches found)', 'service-not-found', undefined],
  [
    503,
    `This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.`,
    'not-a-manager',
    undefined,
  ],
  [
    503,
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    'not-a-manager',
    undefined,
  ],
  [
    503,
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
    'swarm-locked',
    undefined,
  ],
  [500, 'rpc error: code = DeadlineExceeded desc = context deadline exceeded', 'no-quorum', 15],
  [
    500,
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.",
    'no-quorum',
    15,
  ],
  [
    500,
    'rpc error: code = Unknown desc = raft: failed to process the request: node lost leader status',
    'no-quorum',
    15,
  ],
  [
    400,
    'rpc error: code = InvalidArgument desc = ContainerSpec: "foo bar" is not a valid repository/tag',
    'invalid-image-reference',
    undefined,
  ],
  [501, 'renaming services is not supported', 'engine-error', undefined],
  [301, '', 'engine-error', undefined],
])('%i %s', (status, message, code, retryAfterSeconds) => {
  const error = engineError(new EngineHttpError(status, message), 'update service "blog"')
  expect(error).toMatchObject({ code, retryAfterSeconds })
  expect(error.message).toContain('Cannot update service "blog"')
  expect(error.message).toContain(message)
})

test.each([
  [403, '<html>secret.internal</html>'],
  [400, 'secret.internal: invalid reference format'],
  [503, '<p>secret.internal is not a swarm manager</p>'],
])(
  'the response of a proxy or another server is in the cause, and not in the message: %i %s',
  (status, message) => {
    const cause = new EngineHttpError(status, message, { isEngineMessage: false })
    const error = engineError(cause, 'list services')
    expect(error).toMatchObject({ code: 'engine-error', cause })
    expect(error.message).toContain(`answered ${status}, but not as a Docker Engine does`)
    expect(error.message).not.toContain('secret.internal')
  },
)

test('an update out of sequence is distinguished from other 500s', () => {
  const message = 'rpc error: code = Unknown desc = update out of sequence'
  expect(isOutOfSequence(new EngineHttpError(500, message))).toBe(true)
  expect(isOutOfSequence(new EngineHttpError(500, 'something else'))).toBe(false)
  expect(isOutOfSequence(new Error(message))).toBe(false)
})

test('an error without a response is engine-unreachable', () => {
  expect(engineError(new Error('connect ECONNREFUSED'), 'inspect service "blog"')).toMatchObject({
    code: 'engine-unreachable',
    retryAfterSeconds: 5,
    message: expect.stringContaining('connect ECONNREFUSED'),
  })
})
