// The log of the process: one JSON line per event, on standard output.

import { type Logger as Pino, pino, stdTimeFunctions } from 'pino'
import { createLineOutput, makeStandardOutputNonBlocking } from './line-output.ts'

/** The log of the process. */
export interface ProcessLog {
  readonly logger: Pino
  /**
   * Waits until all lines are written, for a limited time, because the reader of standard output may have
   * stopped reading.
   *
   * @param timeoutMs How long to wait at most, in milliseconds.
   */
  close(timeoutMs: number): Promise<void>
}

const STANDARD_OUTPUT = 1

/**
 * Creates the log. Writing a line never blocks and never throws: while standard output cannot be written,
 * the next 4 MiB of lines are kept and further lines are dropped. A line with the number of dropped lines
 * follows once writing works again. pino's own destination is not used, because it retries a failing write
 * for ever at the end of the process.
 *
 * @returns The log.
 */
export function createProcessLog(): ProcessLog {
  makeStandardOutputNonBlocking()
  const output = createLineOutput(STANDARD_OUTPUT, {
    onDropped: (dropped) =>
      logger.warn({ dropped }, 'log lines were dropped: standard output could not be written'),
  })
  const logger = pino(
    {
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: output.write },
  )
  return { logger, close: output.close }
}
