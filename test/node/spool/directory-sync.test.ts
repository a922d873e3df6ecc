// The order of the system calls that make a record survive a crash of the machine.

import { mkdtempSync, rmSync } from 'node:fs'
import type * as Files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createDirectorySpool } from '../../../src/node/spool/directory-spool.ts'
import { createRecordingLogger } from '../../support/recording-fakes.ts'

const { calls } = vi.hoisted(() => ({ calls: [] as string[] }))

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof Files>()
  return {
    ...real,

    async open(...args: Parameters<typeof Files.open>) {
      const handle = await real.open(...args)
      const { sync } = handle
      return Object.assign(handle, {
        async sync() {
          await sync.call(handle)
          calls.push(`sync ${args[0]}`)
        },
      })
    },

    async rename(from: string, to: string) {
      await real.rename(from, to)
      calls.push(`rename ${basename(to)}`)
    },
  }
})

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-sync-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a record is stored when its content is synced, it is renamed, and its directory is synced', async () => {
  const spool = createDirectorySpool(folder, { logger: createRecordingLogger() })
  await spool.read()
  for (const value of ['new', 'replaced']) {
    calls.length = 0
    await spool.put('a', value)
    const [content = '', ...rest] = calls
    expect(content.startsWith(`sync ${join(folder, 'a.json.')}`)).toBe(true)
    expect(rest).toEqual(['rename a.json', `sync ${folder}`])
  }
})
