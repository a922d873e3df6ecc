// A destination that answers as it is told, and records who tried what.

import { DeliveryError } from '../../src/notification/delivery-error.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import type { Destination } from '../../src/notification/destination.ts'

/** What comes of a try; a promise is an answer that takes its time. */
export type Answer = 'take' | 'hang' | Error
export type Answerer = (event: DeploymentEvent, tries: number) => Answer | Promise<Answer>

/** The fake, and what a test may ask and do. */
export interface FakeDestination extends Destination {
  /** The IDs of the events that were tried, in order. */
  readonly tried: readonly string[]
  /** Those that were taken, in order, repeats too. */
  readonly taken: readonly string[]
  /** When each try began, by the clock of the test. */
  readonly triedAtMs: readonly number[]
  /** How many tries are under way now. */
  readonly underWay: number
  /** How many were under way at most. */
  readonly mostAtOnce: number
  /** Whether two tries for a service were ever under way at once. */
  readonly hasOverlapped: boolean
  /** How often it was closed. */
  readonly closed: number
  /** Decides what comes of a try, from the event and how often it has been tried. */
  answer: Answerer
  /** How often an event was tried. */
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
    get underWay() {
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
