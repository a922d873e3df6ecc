// What a task wrote last, out of the stream that the engine sends of it. A task with a terminal
// comes as it is. Of others each piece comes in a frame: one byte for the output (1 and 2; 3 is the
// engine's own complaint), three zeros, four bytes for the length, and so many bytes of text.

/** The last 8 KiB of a log. */
export interface LogTail {
  /** Takes the next bytes of the stream, wherever they are split. */
  push(piece: Buffer): void
  /** What came so far: plain text without terminal escapes, without its last line break. */
  text(): string
}

const MAX_BYTES = 8 * 1024
const HEADER_BYTES = 8
const COMPLAINT = 3
const EMPTY: Buffer = Buffer.alloc(0)

const ESCAPE = String.fromCharCode(0x1b)
const BELL = String.fromCharCode(0x07)
/** Colours and cursor moves (CSI), titles and links (OSC). */
const TERMINAL_ESCAPES = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BELL}${ESCAPE}]*(?:${BELL}|${ESCAPE}\\\\))`,
  'g',
)
const CONTROLS = /[^\P{Cc}\n\t]/gu

/**
 * Makes the tail.
 *
 * @param contentType The answer's `Content-Type`. Engines before 23.0 send none; then the first bytes
 *   tell whether there are frames.
 * @returns The tail, which never holds more than a few times 8 KiB.
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
    isOutput = pending[0] !== COMPLAINT
    left = pending.readUInt32BE(4)
    pending = pending.subarray(HEADER_BYTES)
    return !isBroken
  }

  return {
    push(piece) {
      if (isBroken) {
        return
      }
      pending = pending.length === 0 ? piece : Buffer.concat([pending, piece])
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
      // A byte that is no UTF-8 is replaced by three.
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

/** Whether bytes are the beginning of a frame; undefined when there are too few to tell. */
function looksFramed(bytes: Buffer): boolean | undefined {
  const [output = 0, ...zeros] = bytes.subarray(0, 4)
  if (output > COMPLAINT || zeros.some((zero) => zero !== 0)) {
    return false
  }
  return bytes.length < 4 ? undefined : true
}

/** Cut off at the front, the bytes may begin within a character. */
function decode(bytes: Buffer): string {
  const first = bytes.subarray(0, 4).findIndex((byte) => (byte & 0xc0) !== 0x80)
  return bytes.subarray(Math.max(0, first)).toString('utf8')
}

/** Copies what it is given: a slice of a byte would keep 64 KiB alive. */
function createByteTail(maxBytes: number): { push(bytes: Buffer): void; bytes(): Buffer } {
  const room = Buffer.alloc(2 * maxBytes)
  let length = 0
  return {
    push(bytes) {
      const last = bytes.subarray(-maxBytes)
      if (length + last.length > room.length) {
        room.copyWithin(0, length - maxBytes, length)
        length = maxBytes
      }
      last.copy(room, length)
      length += last.length
    },
    bytes: () => room.subarray(Math.max(0, length - maxBytes), length),
  }
}
