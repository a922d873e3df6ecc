import { expect, test } from 'vitest'
import { parseDockerHost } from '../../../src/node/docker/docker-host.ts'

test.each([
  ['unix:///var/run/docker.sock', { kind: 'unix', socketPath: '/var/run/docker.sock' }],
  ['tcp://10.0.0.1:2375', { kind: 'tcp', host: '10.0.0.1', port: 2375 }],
  ['tcp://[::1]:2375', { kind: 'tcp', host: '::1', port: 2375 }],
  ['tcp://manager', { kind: 'tcp', host: 'manager', port: 2375 }],
  ['tcp://manager:2375/', { kind: 'tcp', host: 'manager', port: 2375 }],
  ['ssh://me@manager:2222', { kind: 'ssh', user: 'me', host: 'manager', port: '2222' }],
  ['ssh://manager', { kind: 'ssh', user: '', host: 'manager', port: '' }],
])('%s is accepted', (text, host) => {
  expect(parseDockerHost(text, false)).toEqual(host)
})

test('TLS changes the default port', () => {
  expect(parseDockerHost('tcp://manager', true)).toMatchObject({ port: 2376 })
})

test.each([
  '',
  '/var/run/docker.sock',
  'unix://docker.sock',
  'tcp://',
  'tcp://:2375',
  'http://manager',
  'npipe:////./pipe/docker_engine',
  'ssh://-oProxyCommand=x',
  'ssh://-l@host',
  'ssh://me:secret@host',
  'ssh://host/var/run/docker.sock',
])('%j is refused', (text) => {
  expect(parseDockerHost(text, false)).toBeUndefined()
})
