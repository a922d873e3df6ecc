// Writes lines to a file descriptor that can fail or block at any time.

import { fstatSync, write, writeSync } from 'node:fs'

/** An output of lines. */
export interface LineOutput {
  /**
   * Writes a line. Returns at once and never throws: a line that cannot be kept is dropped.
   *
   * @param line The line, with its line ending.
   */
  write(line: string): void
  /**
   * Waits until every line is written. Lines that are not written in time are lost.
   *
   * @param timeoutMs How long to wait at most, in milliseconds.
   * @returns A promise that never rejects.
   */
  close(timeoutMs: number): Promise<void>
}

/** Options of {@link createLineOutput}. */
export interface LineOutputOptions {
  /**
   * Called when lines can be written again after some were dropped, as soon as half of the buffer is free
   * and before any other line. A line that it writes takes the place of the dropped ones.
   *
   * @param count The number of dropped lines.
   */
  readonly onDropped: (count: number) => void
  /** The size of the buffer, in bytes. Default: 4 MiB. */
  readonly maxBytes?: number
}

const MAX_BYTES = 4 * 1024 * 1024
const FIRST_RETRY_MS = 2
const MAX_RETRY_MS = 250

/**
 * Creates an output that writes whole lines in the background and in order. If the descriptor cannot be
 * written (the disk is full, the pipe is not read or has no reader), it tries again as long as the process
 * runs.
 *
 * @param descriptor An open file descriptor.
 * @param options How dropped lines are reported, and the size of the buffer.
 * @returns The output.
 */
export function createLineOutput(descriptor: number, options: LineOutputOptions): LineOutput {
  const { onDropped, maxBytes = MAX_BYTES } = options
  let waiting: string[] = []
  let bufferedBytes = 0
  let dropped = 0
  let retryMs = 0
  let isWriting = false
  let isClosed = false
  let onWritten = (): void => {}

  function writeLine(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (isClosed || dropped > 0 || bufferedBytes + bytes > maxBytes) {
      dropped += 1
      return
    }
    bufferedBytes += bytes
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
        retryMs = Math.min(Math.max(retryMs * 2, FIRST_RETRY_MS), MAX_RETRY_MS)
        setTimeout(writeFrom, retryMs, batch)
        return
      }
      retryMs = 0
      bufferedBytes -= count
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
    if (dropped > 0 && bufferedBytes <= maxBytes / 2) {
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

  // After an exception that ends the process, there is time for only one attempt.
  process.once('exit', () => {
    if (!isClosed && retryMs === 0 && waiting.length > 0) {
      try {
        writeSync(descriptor, waiting.join(''))
      } catch {
        // The lines are lost.
      }
    }
  })

  return { write: writeLine, close }
}

/**
 * Makes writes to standard output fail instead of block while it is a pipe or a socket that is not read. A
 * write that blocks would occupy a thread of Node for ever, and prevent the end of the process.
 */
export function makeStandardOutputNonBlocking(): void {
  const stats = fstatSync(1)
  if (stats.isFIFO() || stats.isSocket()) {
    // Node sets O_NONBLOCK when it opens the stream, and restores the flags when the process ends.
    process.stdout.on('error', () => {})
  }
}
