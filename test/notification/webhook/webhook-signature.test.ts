// The signature against the reference implementation of Standard Webhooks.

import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test, vi } from 'vitest'
import { createWebhookSigner } from '../../../src/notification/webhook/webhook-signature.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const MESSAGE = { id: 'msg_1', timestamp: '1767323045', body: '{}' }

describe('the signature of a webhook', () => {
  test('equals that of the reference implementation for any key and any body', async () => {
    const key = fc.uint8Array({ minLength: 24, maxLength: 64 })
    await fc.assert(
      fc.asyncProperty(
        key,
        fc.string({ unit: 'binary' }),
        fc.nat(),
        async (bytes, body, seconds) => {
          const secret = Buffer.from(bytes).toString('base64')
          const sign = createWebhookSigner(secret)
          const expected = new Webhook(secret).sign('msg_1', new Date(seconds * 1000), body)
          expect(await sign({ id: 'msg_1', timestamp: String(seconds), body })).toBe(expected)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('is the same with and without the prefix of the secret', async () => {
    const signatures = [SECRET, SECRET.slice('whsec_'.length)].map((secret) =>
      createWebhookSigner(secret)(MESSAGE),
    )
    const [one, other] = await Promise.all(signatures)
    expect(one).toBe(other)
  })

  test('imports the key with the first message, and once', async () => {
    const importKey = vi.spyOn(crypto.subtle, 'importKey')
    try {
      const sign = createWebhookSigner(SECRET)
      expect(importKey).not.toHaveBeenCalled()
      await sign(MESSAGE)
      await sign({ ...MESSAGE, id: 'msg_2' })
      expect(importKey).toHaveBeenCalledTimes(1)
    } finally {
      importKey.mockRestore()
    }
  })

  test.each([
    ['is too short', Buffer.alloc(23).toString('base64')],
    ['is too long', Buffer.alloc(65).toString('base64')],
    ['is no base64', 's3cr3t!'.repeat(8)],
    ['is base64url', `${'-_'.repeat(15)}AA`],
    ['is empty', ''],
    ['is no text', 7 as unknown as string],
  ])('a secret that %s is refused with a message that does not contain it', (_, secret) => {
    expect(() => createWebhookSigner(secret)).toThrow(
      new TypeError(
        'Cannot use `secret`: it must be 24 to 64 random bytes in base64, with or without the prefix whsec_',
      ),
    )
  })
})
