// The error line of an outcome.

import { describe, expect, test } from 'vitest'
import { errorLine, oneLine } from '../../src/deployment/error-line.ts'
import { endVerdicts, type Outcome, type TaskEvidence } from '../../src/deployment/verdict.ts'

const ENDED_AT = '2026-11-24T14:01:00.000Z'

describe('the error line', () => {
  const one = task({ slot: 1 })
  test.each<[what: string, outcome: Partial<Outcome>, line: string]>([
    ['nothing', {}, ''],
    ['a message', { message: 'update paused' }, 'update paused'],
    ['a task', { tasks: [one] }, 'task 1 on node1 failed: no such image'],
    ['both', { message: 'm', tasks: [one] }, 'm; task 1 on node1 failed: no such image'],
    ['an empty message', { message: '', tasks: [one] }, 'task 1 on node1 failed: no such image'],
    [
      'several tasks',
      { message: 'm', tasks: [one, task({ slot: 2, node: 'node2', state: 'rejected' })] },
      'm; task 1 on node1 failed: no such image; task 2 on node2 rejected: no such image',
    ],
    ['no tasks', { message: 'm', tasks: [] }, 'm'],
    ['the slot of a job', { tasks: [task({ slot: 0 })] }, 'task 0 on node1 failed: no such image'],
    ['a global task', { tasks: [task()] }, 'a task on node1 failed: no such image'],
    [
      'global tasks',
      { tasks: [task(), task({ node: 'node2' })] },
      'a task on node1 failed: no such image; a task on node2 failed: no such image',
    ],
    ['no node', { tasks: [task({ slot: 1, node: '' })] }, 'task 1 failed: no such image'],
    ['neither', { tasks: [task({ node: '' })] }, 'a task failed: no such image'],
    ['no error', { tasks: [task({ slot: 1, error: '' })] }, 'task 1 on node1 failed'],
    [
      'an exit code',
      { tasks: [task({ slot: 1, exitCode: 137 })] },
      'task 1 on node1 failed: no such image, exit code 137',
    ],
    [
      'an exit code of 0',
      { tasks: [task({ slot: 1, state: 'complete', error: '', exitCode: 0 })] },
      'task 1 on node1 complete, exit code 0',
    ],
  ])('of %s', (_, outcome, line) => {
    expect(errorLine({ verdict: 'failed', endedAt: ENDED_AT, ...outcome })).toBe(line)
  })

  test.each([
    ['line breaks', 'a\nb\r\nc\n\nd', 'a b c d'],
    ['the breaks of Unicode', 'a\u2028b\u2029c\u0085d', 'a b c d'],
    ['control characters', 'a\u0000b\tc\u001b[31md\u007fe\u009bf', 'a b c [31md e f'],
    ['space around', '  a  b\n', 'a  b'],
    ['other letters', 'späť – 更新 🚀', 'späť – 更新 🚀'],
    ['nothing but breaks', '\n\r\n', ''],
  ])('has one line, with %s in the message', (_, message, line) => {
    expect(errorLine({ verdict: 'failed', endedAt: ENDED_AT, message })).toBe(line)
    const tasks = [task({ slot: 1, error: message })]
    const ofTask = errorLine({ verdict: 'failed', endedAt: ENDED_AT, tasks })
    expect(ofTask).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
  })

  test.each([
    [1024, 'x'.repeat(1024)],
    [1025, `${'x'.repeat(1023)}…`],
    [100_000, `${'x'.repeat(1023)}…`],
  ])('has at most 1024 characters, of %d', (length, line) => {
    const message = 'x'.repeat(length)
    expect(errorLine({ verdict: 'failed', endedAt: ENDED_AT, message })).toBe(line)
    expect(oneLine(message)).toBe(line)
  })

  test('has at most 1024 characters, and no trailing spaces', () => {
    const tasks = Array.from({ length: 100 }, (_, index) => task({ slot: index + 1 }))
    const line = errorLine({
      verdict: 'failed',
      endedAt: ENDED_AT,
      message: '\n'.repeat(2000),
      tasks,
    })
    expect(line).toHaveLength(1024)
    expect(line).toMatch(/task 1 on node1 failed: no such image; task 2 .*…$/)
  })

  test.each(endVerdicts)('of %s is empty where it ended well, and never has a log', (verdict) => {
    const tasks = [task({ slot: 1 }), task({ log: 'more secrets' })]
    const line = errorLine({ verdict, endedAt: ENDED_AT, message: 'm', tasks })
    expect(line).not.toContain('secret')
    expect(line === '').toBe(verdict === 'converged' || verdict === 'unchanged')
  })
})

function task(differs: Partial<TaskEvidence> = {}): TaskEvidence {
  return {
    ...{ taskId: 'task', node: 'node1', state: 'failed', error: 'no such image' },
    log: 'a secret of the log',
    ...differs,
  }
}
