// The log of the process: one JSON line an event, on standard output.

import { once } from 'node:events'
import { type Logger as Pino, pino, stdTimeFunctions } from 'pino'

/** The log, and its end. */
export interface ProcessLog {
  readonly logger: Pino
  /**
   * Writes the last line, and waits until all lines are written: at the end of the process pino would
   * write what waits beside the line that is just being written, so that this one came last or never.
   *
   * @param fields As for every line.
   * @param message As for every line.
   */
  close(fields: Readonly<Record<string, unknown>>, message: string): Promise<void>
}

// Whoever reads standard output may have stopped.
const WRITTEN_WITHIN_MS = 500

/**
 * Makes the log.
 *
 * @returns The log.
 */
export function createProcessLog(): ProcessLog {
  const output = pino.destination(1)
  const logger = pino(
    {
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  )
  return {
    logger,
    async close(fields, message) {
      logger.info(fields, message)
      const signal = AbortSignal.timeout(WRITTEN_WITHIN_MS)
      await once(output, 'drain', { signal }).catch(() => {})
    },
  }
}
