// The end of a process, also while its threads are blocked.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, type TestContext, test, vi } from 'vitest'
import { builtSource } from '../../support/built-program.ts'
import { spawnOwned } from '../../support/owned-process.ts'

const source = fileURLToPath(new URL('../../../src/node/process/end-process.ts', import.meta.url))
const HOUR_MS = 3_600_000

function createPipe({ onTestFinished }: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'end-process-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  return pipe
}

interface Ending {
  /** What the process does first. */
  readonly work: string
  /** How long the end may take, in milliseconds. */
  readonly deadlineMs: number
}

/** Starts a process that works and then ends with status 3, and waits until its end begins. */
async function startEnding(pipe: string, { work, deadlineMs }: Ending) {
  const program = `
    import { open } from 'node:fs'
    import { open as openFile } from 'node:fs/promises'
    import { endProcess } from ${JSON.stringify(source)}
    const pipe = ${JSON.stringify(pipe)}
    ${work}
    process.stdout.write('ending')
    endProcess(3, { deadline: performance.now() + ${deadlineMs} })
  `
  const child = spawnOwned(process.execPath, [builtSource(program)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  let output = ''
  child.stdout?.on('data', (data) => {
    output += data
  })
  await vi.waitFor(() => expect(output).toBe('ending'), { timeout: 40_000 })
  return { exit }
}

describe.concurrent('endProcess', () => {
  test('ends at once with the status if no thread is blocked', async (context) => {
    const { exit } = await startEnding(createPipe(context), { work: '', deadlineMs: HOUR_MS })
    expect(await exit).toEqual([3, null])
  })

  // Opening a pipe without a writer for reading blocks the thread.
  test.for([
    ['by a callback', 'open(pipe, () => {})'],
    ['by a promise', 'openFile(pipe).catch(() => {})'],
  ])(
    'ends with SIGKILL at the deadline if a thread is blocked %s',
    async ([, work = ''], context) => {
      const { exit } = await startEnding(createPipe(context), { work, deadlineMs: 100 })
      expect(await exit).toEqual([null, 'SIGKILL'])
    },
  )

  test('waits for a thread that is blocked only for a while', async (context) => {
    const pipe = createPipe(context)
    const { exit } = await startEnding(pipe, { work: 'openFile(pipe)', deadlineMs: HOUR_MS })
    closeSync(openSync(pipe, 'r+'))
    expect(await exit).toEqual([3, null])
  })
})
