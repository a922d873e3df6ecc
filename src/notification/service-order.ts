// Runs the work of a service one piece after the other; services do not wait for one another.

import type { Logger } from '../logger.ts'

/** Runs work in order, per service. */
export interface ServiceOrder {
  /**
   * Runs work once all earlier work of the service has ended. A failure is logged.
   *
   * @param service The name of the service.
   * @param work The work.
   * @returns Nothing, once the work has ended; it never rejects.
   */
  run(service: string, work: () => Promise<void>): Promise<void>
}

/**
 * Creates an order without any work.
 *
 * @param logger Logs work that fails.
 * @returns The order.
 */
export function createServiceOrder(logger: Logger): ServiceOrder {
  const latest = new Map<string, Promise<void>>()
  return {
    async run(service, work) {
      const done = (latest.get(service) ?? Promise.resolve()).then(work).catch((error) => {
        logger.error({ err: error, service }, 'deployment events not published')
      })
      latest.set(service, done)
      await done
      if (latest.get(service) === done) {
        latest.delete(service)
      }
    },
  }
}
