// Lines out of a stream of bytes.

const NEWLINE = 0x0a

/**
 * Makes a splitter: a line may come in any number of pieces.
 *
 * @param maxBytes How long a line may be; longer ones are passed over.
 * @param take Is given each line that is not empty, without its end, once that has come.
 * @returns Takes the next piece.
 */
export function createLineSplitter(
  maxBytes: number,
  take: (line: string) => void,
): (piece: Buffer) => void {
  let parts: Buffer[] = []
  let length = 0

  /** What is too long is counted, and not kept. */
  function add(part: Buffer): void {
    length += part.length
    if (length <= maxBytes) {
      parts.push(part)
    } else {
      parts = []
    }
  }

  function end(): void {
    const line = Buffer.concat(parts)
    parts = []
    length = 0
    if (line.length > 0) {
      take(line.toString('utf8'))
    }
  }

  return (piece) => {
    let from = 0
    for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, from)) {
      add(piece.subarray(from, at))
      from = at + 1
      end()
    }
    add(piece.subarray(from))
  }
}
