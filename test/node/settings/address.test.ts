import { expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../../../src/node/settings/address.ts'

test.each([
  [':9999', '', 9999],
  ['127.0.0.1:80', '127.0.0.1', 80],
  ['[::1]:9999', '::1', 9999],
  ['beanstalkd:11300', 'beanstalkd', 11300],
  ['localhost:0', 'localhost', 0],
])('%s is an address, and is formatted the same', (text, host, port) => {
  expect(parseAddress(text)).toEqual({ host, port })
  expect(formatAddress({ host, port })).toBe(text)
})

test.each(['', '9999', 'host', 'host:', 'host:65536', '::1:80', 'a b:80', 'http://h:80', 'u@h:80'])(
  '%j is not an address',
  (text) => {
    expect(parseAddress(text)).toBeUndefined()
  },
)
