// Lines to a file descriptor that may fail, or block, at any time.

import { fstatSync, write, writeSync } from 'node:fs'

/** Where lines go. */
export interface LineOutput {
  /**
   * Takes a line. It returns at once and never throws: a line that cannot be kept is dropped.
   *
   * @param line The line, with its line end.
   */
  write(line: string): void
  /**
   * Waits until every line is written. Lines that are still there after that time are given up.
   *
   * @param timeoutMs The longest to wait, in milliseconds.
   * @returns Nothing, in any case.
   */
  close(timeoutMs: number): Promise<void>
}

/** What {@link createLineOutput} needs. */
export interface LineOutputOptions {
  /**
   * Called when lines can be written again after some were dropped, as soon as half of the room is free and
   * before any other line is taken. What it writes stands where the dropped lines are missing.
   *
   * @param count How many lines were dropped.
   */
  readonly onDropped: (count: number) => void
  /** How many bytes may wait to be written. Default: 4 MiB. */
  readonly maxBytes?: number
}

const MAX_BYTES = 4 * 1024 * 1024
const FIRST_RETRY_MS = 2
const LONGEST_RETRY_MS = 250

/**
 * Writes lines in the background, in order and whole. A descriptor that cannot be written (the disk is
 * full, nobody reads the pipe, its reader is gone) is tried again for as long as the process runs.
 *
 * @param descriptor An open file descriptor.
 * @param options What to do about dropped lines.
 * @returns The output.
 */
export function createLineOutput(descriptor: number, options: LineOutputOptions): LineOutput {
  const { onDropped, maxBytes = MAX_BYTES } = options
  let waiting: string[] = []
  let heldBytes = 0
  let dropped = 0
  let retryMs = 0
  let isWriting = false
  let isClosed = false
  let onWritten = (): void => {}

  function take(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (isClosed || dropped > 0 || heldBytes + bytes > maxBytes) {
      dropped += 1
      return
    }
    heldBytes += bytes
    waiting.push(line)
    if (!isWriting) {
      isWriting = true
      writeWaiting()
    }
  }

  function writeWaiting(): void {
    const batch = Buffer.from(waiting.join(''))
    waiting = []
    writeFrom(batch)
  }

  function writeFrom(batch: Buffer): void {
    write(descriptor, batch, 0, batch.length, null, (error, count) => {
      if (error !== null || count === 0) {
        retryMs = Math.min(Math.max(retryMs * 2, FIRST_RETRY_MS), LONGEST_RETRY_MS)
        setTimeout(writeFrom, retryMs, batch)
        return
      }
      retryMs = 0
      heldBytes -= count
      if (count < batch.length) {
        writeFrom(batch.subarray(count))
        return
      }
      reportDropped()
      if (waiting.length > 0) {
        writeWaiting()
      } else {
        isWriting = false
        onWritten()
      }
    })
  }

  function reportDropped(): void {
    if (dropped > 0 && heldBytes <= maxBytes / 2) {
      const count = dropped
      dropped = 0
      onDropped(count)
    }
  }

  function close(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        isClosed = true
        resolve()
      }
      const timer = setTimeout(end, timeoutMs)
      onWritten = end
      if (!isWriting) {
        end()
      }
    })
  }

  // An exception that ends the process leaves no time for more than one attempt.
  process.once('exit', () => {
    if (!isClosed && retryMs === 0 && waiting.length > 0) {
      try {
        writeSync(descriptor, waiting.join(''))
      } catch {
        // The lines are lost.
      }
    }
  })

  return { write: take, close }
}

/**
 * Makes writing to standard output fail, rather than block, as long as nobody reads a pipe or a socket
 * there. A write that blocks would hold a thread of Node for ever, and the end of the process with it.
 */
export function makeStandardOutputNonBlocking(): void {
  const stats = fstatSync(1)
  if (stats.isFIFO() || stats.isSocket()) {
    // Node sets O_NONBLOCK when it opens its stream, and restores the flags at the end of the process.
    process.stdout.on('error', () => {})
  }
}
