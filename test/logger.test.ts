import { expect, test } from 'vitest'
import { type Logger, tidyLogger } from '../src/logger.ts'
import { createRecordingLogger } from './support/recording-fakes.ts'

test.each<[string, Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>]>([
  ['deployment accepted', { service: 'blog', verdict: 'accepted' }, { service: 'blog' }],
  ['deployment ended', { verdict: 'converged', message: '' }, { verdict: 'converged' }],
  ['deployment refused', { image: '', cause: undefined, status: 404 }, { status: 404 }],
  [
    'stopped',
    { event: 'refused', kept: 0, isLast: false },
    { event: 'refused', kept: 0, isLast: false },
  ],
  ['deployment accepted', { service: 'accepted', event: 'accepted' }, { service: 'accepted' }],
  [
    'message not delivered',
    { metadata: Object.create(null), error: null },
    { metadata: {}, error: null },
  ],
])('%s: %j is logged as %j', (message, fields, logged) => {
  const recorder = createRecordingLogger()
  const logger = tidyLogger(recorder)
  for (const level of ['info', 'warn', 'error'] as const) {
    logger[level](fields, message)
  }
  expect(recorder.lines).toEqual(
    ['info', 'warn', 'error'].map((level) => ({ ...logged, level, message })),
  )
})

test('a logger that throws or rejects has no effect on its callers', async () => {
  const throws = (): void => {
    throw new Error('disk full')
  }
  const broken: Logger = { info: throws, warn: throws, error: async () => throws() }
  const logger = tidyLogger(broken)
  logger.info({}, 'deployment accepted')
  logger.warn({}, 'deployment refused')
  logger.error({}, 'request failed')
  // An unhandled rejection would fail the test run.
  await new Promise((resolve) => setTimeout(resolve, 10))
})

test('methods are called on the logger itself, as pino needs it', () => {
  class Own implements Logger {
    readonly messages: string[] = []
    info(_: Readonly<Record<string, unknown>>, message: string): void {
      this.messages.push(message)
    }
    warn = this.info
    error = this.info
  }
  const own = new Own()
  tidyLogger(own).info({}, 'listening')
  expect(own.messages).toEqual(['listening'])
})
