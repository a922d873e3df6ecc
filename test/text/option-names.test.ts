import { expect, test } from 'vitest'
import { checkOptionNames } from '../../src/text/option-names.ts'

const KNOWN = ['token', 'swarm', 'rolloutTimeoutMs', 'registryAuth']

test.each([[{}], [{ token: 'x' }], [{ swarm: 1, registryAuth: undefined }], [undefined], [null]])(
  'accepts %j',
  (options) => {
    expect(() => checkOptionNames(options, KNOWN)).not.toThrow()
  },
)

test.each([
  ['tokn', 'token'],
  ['Token', 'token'],
  ['rolloutTimeout', 'rolloutTimeoutMs'],
  ['rollout_timeout_ms', 'rolloutTimeoutMs'],
  ['registry', 'registryAuth'],
  ['toString', 'token'],
  ['', 'token'],
])('%j is refused with the closest name, %j', (name, closest) => {
  const check = (): void => checkOptionNames({ token: 'x', [name]: undefined }, KNOWN)
  expect(check).toThrow(TypeError)
  expect(check).toThrow(`\`${name}\`: there is no such option; the closest one is \`${closest}\``)
})
