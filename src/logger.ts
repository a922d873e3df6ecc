// The logger port.

/** Structured logging, in the shape of pino's methods: fields first, then a constant message. */
export interface Logger {
  /** An expected event, such as an accepted deployment. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A rejected request, or a condition that needs attention. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A failure of the engine, a message that was not delivered, a fault in Deployer. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

// The fields whose value a message can contain. A service may be named `accepted` too.
const STATES: ReadonlySet<string> = new Set(['verdict', 'event'])

/**
 * Wraps the logger of an embedder. Empty fields are left out, and so is a verdict that the message ends
 * with ("deployment accepted" with the verdict `accepted`): readers that print fields as text would show
 * an empty or a doubled text. A logger that throws or rejects fails no request.
 *
 * @param logger The logger.
 * @returns A logger that writes to it.
 */
export function tidyLogger(logger: Logger): Logger {
  async function write(
    level: keyof Logger,
    fields: Readonly<Record<string, unknown>>,
    message: string,
  ): Promise<void> {
    try {
      await logger[level](tidyFields(fields, message), message)
    } catch {
      // There is no other place to report it to.
    }
  }
  return {
    info: (fields, message) => void write('info', fields, message),
    warn: (fields, message) => void write('warn', fields, message),
    error: (fields, message) => void write('error', fields, message),
  }
}

function tidyFields(
  fields: Readonly<Record<string, unknown>>,
  message: string,
): Readonly<Record<string, unknown>> {
  const isShown = ([name, value]: readonly [string, unknown]): boolean =>
    value !== undefined && value !== '' && !(STATES.has(name) && message.endsWith(` ${value}`))
  return Object.fromEntries(Object.entries(fields).filter(isShown))
}
