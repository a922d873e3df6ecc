import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isServiceName } from '../../src/swarm/service-name.ts'

test.each(['a', '0', 'shop_web', 'a--b__c', 'A-b', 'x'.repeat(63)])('%s is a name', (name) => {
  expect(isServiceName(name)).toBe(true)
})

test.each(['', '-', '-a', 'a-', '_a', 'a_', 'a.b', 'a b', 'a\n', 'ä', 'x'.repeat(64)])(
  '%j is none',
  (name) => {
    expect(isServiceName(name)).toBe(false)
  },
)

test('the grammar agrees with that of swarmkit for all short texts', () => {
  const swarmkit = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/
  const text = fc.string({
    unit: fc.constantFrom('a', 'Z', '0', '-', '_', '.', '\n'),
    maxLength: 12,
  })
  fc.assert(fc.property(text, (name) => isServiceName(name) === swarmkit.test(name)))
})
