import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSpoolLease, leftName } from '../../../src/node/spool/spool-lease.ts'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-lease-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('the loss of the directory is detected even if the process was stopped during a renewal', async () => {
  let nowMs = 0
  let losses = 0
  const lease = createSpoolLease({
    ...{ root: folder, parts: ['messages'], staleMs: 10_000, machine: '', now: () => nowMs },
    onLost() {
      losses += 1
    },
  })
  await lease.renew()
  const [name = ''] = readdirSync(folder)
  const left = join(folder, leftName(name))
  // It has begun before the time passes, and another process takes the directory as soon as it ends.
  const renewal = lease.renew().then(() => renameSync(join(folder, name), left))
  await Promise.resolve()
  await Promise.resolve()
  nowMs = 20_000
  const confirmed = lease.confirm()
  await renewal
  await confirmed
  expect(losses).toBe(1)
  expect(lease.isRecent()).toBe(true)
  expect(readdirSync(folder)).toHaveLength(2)
  await lease.release()
})
