// The part of fivebeans that Deployer uses; the package has no types of its own.

declare module 'fivebeans' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'

  /** `error` is the first word of an answer that was not the expected one, or null. */
  type Callback = (error: string | null, ...words: string[]) => void

  export class client extends EventEmitter {
    constructor(host: string, port: number)
    /** Null until `connect` was called. */
    stream: Socket | null
    connect(): void
    tryHandlingResponse(): void
    use(tube: string, callback: Callback): void
    put(priority: number, delay: number, ttr: number, payload: Buffer, callback: Callback): void
  }
}
