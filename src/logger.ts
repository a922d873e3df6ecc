// The logger port.

/** Structured logging, in the shape of pino's methods: fields first, then a constant message. */
export interface Logger {
  /** An accepted deployment. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A refusal that is the caller's to mend. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A failure of the engine, a message that was not delivered, a fault of Deployer. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}
