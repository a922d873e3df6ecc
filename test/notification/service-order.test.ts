import { expect, test } from 'vitest'
import { createServiceOrder } from '../../src/notification/service-order.ts'
import { createRecordingLogger } from '../support/recording-fakes.ts'

function setUp() {
  const logger = createRecordingLogger()
  const order = createServiceOrder(logger)
  const steps: string[] = []
  const ends = new Map<string, () => void>()
  /** Runs work that lasts until the test ends it. */
  function run(service: string, name: string): Promise<void> {
    return order.run(service, async () => {
      steps.push(`${name} starts`)
      await new Promise<void>((resolve) => ends.set(name, resolve))
      steps.push(`${name} ends`)
    })
  }
  return { logger, order, steps, run, end: (name: string) => ends.get(name)?.() }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0))
}

test('the work of a service runs one piece after the other', async () => {
  const { steps, run, end } = setUp()
  const first = run('blog', 'a')
  const second = run('blog', 'b')
  await settle()
  expect(steps).toEqual(['a starts'])
  end('a')
  await first
  await settle()
  end('b')
  await second
  expect(steps).toEqual(['a starts', 'a ends', 'b starts', 'b ends'])
})

test('services do not wait for one another', async () => {
  const { steps, run } = setUp()
  void run('blog', 'a')
  void run('shop', 'b')
  await settle()
  expect(steps).toEqual(['a starts', 'b starts'])
})

test('a failure is logged, and the next work runs', async () => {
  const { logger, order, steps, run } = setUp()
  const failure = new Error('out of memory')
  await order.run('blog', () => Promise.reject(failure))
  void run('blog', 'a')
  await settle()
  expect(steps).toEqual(['a starts'])
  expect(logger.lines).toEqual([
    {
      level: 'error',
      message: 'deployment events not published',
      err: failure,
      service: 'blog',
    },
  ])
})
