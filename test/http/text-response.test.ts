import { expect, test } from 'vitest'
import { responseText } from '../../src/http/text-response.ts'

const DEPLOYMENT = {
  deploymentId: 'WzEs',
  service: 'blog',
  serviceId: 'x',
  image: 'me/app:v2',
  resolved: 'me/app:v2@sha256:0',
  previous: 'me/app:v1',
  startedAt: '2026-01-01T00:00:00Z',
}

test('a good deployment is its verdict and its ID', () => {
  expect(responseText({ ...DEPLOYMENT, verdict: 'converged' })).toBe(
    'converged: service blog, image me/app:v2\ndeployment: WzEs\n',
  )
})

test('a failed one has a line for each task, its log as indented lines, the warnings and the ID last', () => {
  const text = responseText({
    ...{
      ...DEPLOYMENT,
      verdict: 'rolled-back',
      title: 'The rollout failed',
      code: 'rollout-failed',
    },
    detail: 'Cannot deploy me/app:v2 to service "blog": the engine rolled it back',
    tasks: [
      {
        ...{ taskId: 'a', slot: 1, node: 'node-1', state: 'failed' },
        ...{ error: 'task: non-zero exit (1)', exitCode: 1, log: 'connecting\r\nno database\n' },
      },
      { taskId: 'b', node: '', state: 'rejected', error: 'No such image' },
      { taskId: 'c', slot: 3, node: 'node-2', state: 'orphaned', error: '' },
    ],
    logsWithheld: 'Log lines are shown only of images of the repository',
    warnings: ['Not pinned', 'Paused'],
  })
  expect(text.split('\n')).toEqual([
    'rolled-back: service blog, image me/app:v2',
    'Cannot deploy me/app:v2 to service "blog": the engine rolled it back',
    'task 1 on node-1: failed, task: non-zero exit (1), exit code 1',
    '    | connecting',
    '    | no database',
    'task: rejected, No such image',
    'task 3 on node-2: orphaned',
    'Log lines are shown only of images of the repository',
    'warning: Not pinned',
    'warning: Paused',
    'deployment: WzEs',
    '',
  ])
})

test('a problem is its title, its detail and its code', () => {
  const problem = { title: 'The token is missing', detail: 'Send it', code: 'missing-token' }
  expect(responseText({ ...problem, type: 'urn:x', status: 401 })).toBe(
    'The token is missing\nSend it\ncode: missing-token\n',
  )
})

test('texts of images and containers cannot add lines, CI commands or terminal sequences', () => {
  const text = responseText({
    ...{ ...DEPLOYMENT, verdict: 'failed', image: 'a\nb', message: 'one\r\n\n  two\u0007' },
    tasks: [
      {
        ...{
          taskId: 'a',
          slot: 1,
          node: 'n\n::stop::',
          state: 'failed',
          error: '\u001b[31mred\u001b[0m',
        },
        log: '::add-mask::x\n\u001b[2J\u001b]0;title\u0007\ttab [0m\u009b',
      },
    ],
  })
  expect(text.split('\n')).toEqual([
    'failed: service blog, image a b',
    'one two\ufffd',
    'task 1 on n ::stop::: failed, red',
    '    | ::add-mask::x',
    '    | \ufffd]0;title\ufffd\ttab [0m\ufffd',
    'deployment: WzEs',
    '',
  ])
})
