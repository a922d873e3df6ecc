// The log of the process: one JSON line an event, on standard output.

import { type Logger as Pino, pino, stdTimeFunctions } from 'pino'
import { createLineOutput, makeStandardOutputNonBlocking } from './line-output.ts'

/** The log, and its end. */
export interface ProcessLog {
  readonly logger: Pino
  /**
   * Writes the last line, and waits until all lines are written, for 400 ms at most: whoever reads
   * standard output may have stopped.
   *
   * @param fields As for every line.
   * @param message As for every line.
   */
  close(fields: Readonly<Record<string, unknown>>, message: string): Promise<void>
}

const STANDARD_OUTPUT = 1
const WRITTEN_WITHIN_MS = 400

/**
 * Makes the log. No line blocks the process or is an error: while standard output cannot be written, the
 * next 4 MiB of lines are kept, further ones are dropped, and their number is a line of its own once
 * writing works again. pino's own destination is not used, because it retries a failing write for ever at
 * the end of the process.
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
  return {
    logger,
    close(fields, message) {
      logger.info(fields, message)
      return output.close(WRITTEN_WITHIN_MS)
    },
  }
}
