import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const PROGRAM = join(import.meta.dirname, '../support/embedding-program.ts')
const run = promisify(execFile)

test.each([['with-events'], ['without-events']])(
  'a rollout in progress does not keep an embedding process running, %s',
  async (events) => {
    const args = ['--import', 'tsx', PROGRAM, events]
    const { stdout } = await run(process.execPath, args, { timeout: 50_000 })
    expect(stdout).toBe('200')
  },
)
