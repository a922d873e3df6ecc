// Parses a long JSON list in parts, so that the event loop is not blocked.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseReadOnlyJson } from './json.ts'

// Each part takes a few milliseconds.
const PART_BYTES = 128 * 1024

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * Parses a JSON list that is not written back. The event loop runs after each part. An element that
 * is longer than a part is parsed at once.
 *
 * @param bytes JSON text in UTF-8.
 * @param partBytes Length of a part, in bytes. Default: 128 KiB.
 * @returns The elements as `parseReadOnlyJson` returns them; for JSON that is not a list, its
 *   value.
 * @throws SyntaxError if the text is not JSON.
 */
export async function parseJsonList(
  bytes: Buffer,
  partBytes: number = PART_BYTES,
): Promise<unknown> {
  const first = bytes.findIndex((byte) => !isSpace(byte))
  if (bytes.length <= partBytes || bytes[first] !== OPEN_LIST) {
    return parseReadOnlyJson(bytes.toString())
  }
  const elements: unknown[] = []
  let start = first + 1
  for (;;) {
    const end = endOfPart(bytes, start, partBytes)
    const part = parseReadOnlyJson(`[${bytes.toString('utf8', start, end)}]`)
    if (!Array.isArray(part) || (part.length === 0 && start > first + 1)) {
      throw new SyntaxError(`Unexpected end of JSON list at byte ${end}`)
    }
    for (const element of part) {
      elements.push(element)
    }
    start = end + 1
    await nextTurn()
    if (bytes[end] !== COMMA) {
      if (bytes[end] !== CLOSE_LIST || !bytes.subarray(start).every(isSpace)) {
        throw new SyntaxError(`Unexpected text after JSON list at byte ${end}`)
      }
      return elements
    }
  }
}

/** Finds the first comma between two elements after `partBytes`, or else the closing bracket. */
function endOfPart(bytes: Buffer, start: number, partBytes: number): number {
  let depth = 0
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = endOfString(bytes, at)
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      depth += 1
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1
    }
    if (depth < 0 || (depth === 0 && byte === COMMA && at - start >= partBytes)) {
      return at
    }
  }
  throw new SyntaxError('JSON text ends within a list')
}

function endOfString(bytes: Buffer, open: number): number {
  let at = open + 1
  while (at < bytes.length && bytes[at] !== QUOTE) {
    at += bytes[at] === BACKSLASH ? 2 : 1
  }
  return at
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
