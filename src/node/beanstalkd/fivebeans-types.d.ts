// Types for the part of fivebeans that Deployer uses. The package has no types.

declare module 'fivebeans/lib/client.js' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'

  /** `error` is the first word of an unexpected answer, or null. */
  type Callback = (error: string | null, ...words: string[]) => void

  export default class FiveBeansClient extends EventEmitter {
    constructor(host: string, port: number)
    /** Null until `connect` is called. */
    stream: Socket | null
    /** Received data that is not parsed yet. */
    readonly buffer: Buffer | undefined
    /** The parsers and callbacks of the commands that wait for an answer, in order. */
    readonly handlers: readonly (readonly [{ RESPONSES_REQUIRING_BODY: object }, Callback])[]
    connect(): void
    use(tube: string, callback: Callback): void
    put(priority: number, delay: number, ttr: number, payload: Buffer, callback: Callback): void
  }
}
