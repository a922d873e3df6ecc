// Extracts the end of a task's log from the engine's log stream. The output of a task with a
// terminal is sent unchanged. Other output is sent in frames: one byte for the stream (1 is
// standard output, 2 is standard error, 3 is an error of the engine), three zero bytes, four bytes
// for the length, the text.

/** The last 8 KiB of a log. */
export interface LogTail {
  /** Adds the next chunk of the stream; frames and characters may be split over several chunks. */
  push(chunk: Buffer): void
  /** The log so far: plain text without terminal escapes and without the last line break. */
  text(): string
}

const MAX_BYTES = 8 * 1024
const HEADER_BYTES = 8
const ENGINE_ERROR = 3
const EMPTY: Buffer = Buffer.alloc(0)

const ESCAPE = String.fromCharCode(0x1b)
const BEL = String.fromCharCode(0x07)
/** Colours and cursor movements (CSI), titles and links (OSC). */
const TERMINAL_ESCAPES = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BEL}${ESCAPE}]*(?:${BEL}|${ESCAPE}\\\\))`,
  'g',
)
const CONTROLS = /[^\P{Cc}\n\t]/gu

/**
 * Creates the tail.
 *
 * @param contentType `Content-Type` of the response. Engines before 23.0 send none; then the first
 *   bytes decide whether the stream consists of frames.
 * @returns The tail. It never buffers more than a few times 8 KiB.
 */
export function createLogTail(contentType: string | undefined): LogTail {
  const kept = createByteTail(MAX_BYTES)
  let isFramed = isFramedType(contentType)
  let pending = EMPTY
  let left = 0
  let isOutput = true
  let isBroken = false

  function takeFrames(): void {
    while (pending.length > 0 && !isBroken) {
      if (left === 0 && !takeHeader()) {
        return
      }
      const payload = pending.subarray(0, left)
      pending = pending.subarray(payload.length)
      left -= payload.length
      if (isOutput) {
        kept.push(payload)
      }
    }
  }

  function takeHeader(): boolean {
    if (pending.length < HEADER_BYTES) {
      return false
    }
    isBroken = looksFramed(pending) !== true
    isOutput = pending[0] !== ENGINE_ERROR
    left = pending.readUInt32BE(4)
    pending = pending.subarray(HEADER_BYTES)
    return !isBroken
  }

  return {
    push(chunk) {
      if (isBroken) {
        return
      }
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      isFramed ??= looksFramed(pending)
      if (isFramed) {
        takeFrames()
      } else if (isFramed === false) {
        kept.push(pending)
        pending = EMPTY
      }
    },

    text() {
      const text = decode(kept.bytes())
        .replace(TERMINAL_ESCAPES, '')
        .replace(CONTROLS, '')
        .replace(/\n$/, '')
      // The replacement of an invalid byte takes three bytes in UTF-8, so the text may have grown.
      return decode(Buffer.from(text).subarray(-MAX_BYTES))
    },
  }
}

function isFramedType(contentType = ''): boolean | undefined {
  if (contentType.startsWith('application/vnd.docker.raw-stream')) {
    return false
  }
  return contentType.startsWith('application/vnd.docker.multiplexed-stream') ? true : undefined
}

/** Tests whether bytes are the beginning of a frame; undefined if there are too few to decide. */
function looksFramed(bytes: Buffer): boolean | undefined {
  const [output = 0, ...zeros] = bytes.subarray(0, 4)
  if (output > ENGINE_ERROR || zeros.some((zero) => zero !== 0)) {
    return false
  }
  return bytes.length < 4 ? undefined : true
}

/** Skips the rest of a character that was cut off at the beginning. */
function decode(bytes: Buffer): string {
  const first = bytes.subarray(0, 4).findIndex((byte) => (byte & 0xc0) !== 0x80)
  return bytes.subarray(Math.max(0, first)).toString('utf8')
}

/** Copies the bytes: even a short slice would keep its whole chunk of 64 KiB in memory. */
function createByteTail(maxBytes: number): { push(bytes: Buffer): void; bytes(): Buffer } {
  const buffer = Buffer.alloc(2 * maxBytes)
  let length = 0
  return {
    push(bytes) {
      const last = bytes.subarray(-maxBytes)
      if (length + last.length > buffer.length) {
        buffer.copyWithin(0, length - maxBytes, length)
        length = maxBytes
      }
      last.copy(buffer, length)
      length += last.length
    },
    bytes: () => buffer.subarray(Math.max(0, length - maxBytes), length),
  }
}
