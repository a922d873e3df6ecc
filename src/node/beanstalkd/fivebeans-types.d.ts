// The part of fivebeans that Deployer uses; the package has no types of its own.

declare module 'fivebeans/lib/client.js' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'

  /** `error` is the first word of an answer that was not the expected one, or null. */
  type Callback = (error: string | null, ...words: string[]) => void

  export default class FiveBeansClient extends EventEmitter {
    constructor(host: string, port: number)
    /** Null until `connect` was called. */
    stream: Socket | null
    /** What came and was not read as an answer yet. */
    readonly buffer: Buffer | undefined
    /** What waits for an answer, in order: who reads it, and who is told. */
    readonly handlers: readonly (readonly [{ RESPONSES_REQUIRING_BODY: object }, Callback])[]
    connect(): void
    use(tube: string, callback: Callback): void
    put(priority: number, delay: number, ttr: number, payload: Buffer, callback: Callback): void
  }
}
