// A destination whose answers the test sets, and which records each attempt.

import { DeliveryError } from '../../src/notification/delivery-error.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import type { Destination } from '../../src/notification/destination.ts'

/** The result of an attempt to deliver an event. */
export type Answer = 'take' | 'hang' | Error
export type Answerer = (event: DeploymentEvent, tries: number) => Answer | Promise<Answer>

/** The fake destination, with members for tests. */
export interface FakeDestination extends Destination {
  /** The event ID of each attempt, in order. */
  readonly tried: readonly string[]
  /** The event ID of each successful attempt, in order. */
  readonly taken: readonly string[]
  /** When each attempt started, by the clock of the test. */
  readonly triedAtMs: readonly number[]
  /** Number of attempts in progress. */
  readonly inProgress: number
  /** Maximum number of attempts in progress so far. */
  readonly mostAtOnce: number
  /** Whether two attempts for one service were ever in progress at the same time. */
  readonly hasOverlapped: boolean
  /** Number of calls of `close`. */
  readonly closed: number
  /** Determines the result of an attempt from the event and the number of attempts. */
  answer: Answerer
  /** Number of attempts to deliver an event. */
  triesOf(id: string): number
}

export function refusal(message = 'not now'): DeliveryError {
  return new DeliveryError(message)
}

export function finalRefusal(message = 'never'): DeliveryError {
  return new DeliveryError(message, { isFinal: true })
}

export function createFakeDestination(
  options: Partial<Pick<Destination, 'name' | 'events'> & { answer: Answerer }> = {},
): FakeDestination {
  const { name = 'chat', events = ['accepted'], answer = () => 'take' } = options
  const tried: string[] = []
  const taken: string[] = []
  const triedAtMs: number[] = []
  const busy: string[] = []
  let mostAtOnce = 0
  let hasOverlapped = false
  let closed = 0

  const fake: FakeDestination = {
    ...{ name, events, answer, tried, taken, triedAtMs },
    get inProgress() {
      return busy.length
    },
    get mostAtOnce() {
      return mostAtOnce
    },
    get hasOverlapped() {
      return hasOverlapped
    },
    get closed() {
      return closed
    },
    triesOf: (id) => tried.filter((other) => other === id).length,

    async deliver(event, signal) {
      tried.push(event.id)
      triedAtMs.push(Date.now())
      hasOverlapped ||= busy.includes(event.service)
      busy.push(event.service)
      mostAtOnce = Math.max(mostAtOnce, busy.length)
      try {
        const answered = await fake.answer(event, fake.triesOf(event.id))
        if (answered === 'hang') {
          await new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          })
        }
        if (answered instanceof Error) {
          throw answered
        }
        taken.push(event.id)
      } finally {
        busy.splice(busy.indexOf(event.service), 1)
      }
    },

    close() {
      closed += 1
    },
  }
  return fake
}
