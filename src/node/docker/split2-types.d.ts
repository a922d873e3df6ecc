// The part of split2 that Deployer uses; the package has no types of its own.

declare module 'split2' {
  import type { Transform } from 'node:stream'

  /**
   * Creates a stream that takes bytes and gives what `mapper` makes of each line of UTF-8 text.
   *
   * @param mapper Receives a line without its end; a line for which it returns `undefined` is
   *   skipped.
   * @param options `maxLength` is the longest unfinished line that is buffered, in characters.
   *   `skipOverflow` skips a longer line; without it, the stream fails.
   */
  export default function split2<T>(
    mapper: (line: string) => T | undefined,
    options: { readonly maxLength: number; readonly skipOverflow: boolean },
  ): Transform
}
