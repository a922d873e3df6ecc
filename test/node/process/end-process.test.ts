// The end of a process whose threads are blocked.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { spawnOwned } from '../../support/owned-process.ts'

const source = fileURLToPath(new URL('../../../src/node/process/end-process.ts', import.meta.url))
const HOUR_MS = 3_600_000

let folder: string
let pipe: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'end-process-'))
  pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Starts a process that does `work` and then ends with status 3, and waits until it is to end. */
async function startEnding(work: string, deadlineMs: number) {
  const program = `
    import { open } from 'node:fs'
    import { open as openFile } from 'node:fs/promises'
    import { endProcess } from ${JSON.stringify(source)}
    const pipe = ${JSON.stringify(pipe)}
    ${work}
    process.stdout.write('ending')
    endProcess(3, { deadline: performance.now() + ${deadlineMs} })
  `
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const child = spawnOwned(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  let output = ''
  child.stdout?.on('data', (data) => {
    output += data
  })
  await vi.waitFor(() => expect(output).toBe('ending'), { timeout: 40_000 })
  return { exit }
}

test('without a blocked thread it is at once, with the status', async () => {
  const { exit } = await startEnding('', HOUR_MS)
  expect(await exit).toEqual([3, null])
}, 60_000)

// Nobody writes to the pipe: opening it for reading blocks the thread.
test.each([
  ['by a callback', 'open(pipe, () => {})'],
  ['by a promise', 'openFile(pipe).catch(() => {})'],
])(
  'a thread that is blocked %s past the deadline does not hold it up',
  async (_, work) => {
    const { exit } = await startEnding(work, 100)
    expect(await exit).toEqual([null, 'SIGKILL'])
  },
  60_000,
)

test('a thread that is blocked for a while is waited for', async () => {
  const { exit } = await startEnding('openFile(pipe)', HOUR_MS)
  closeSync(openSync(pipe, 'r+'))
  expect(await exit).toEqual([3, null])
}, 60_000)
