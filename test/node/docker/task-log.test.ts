import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLogTail } from '../../../src/node/docker/task-log.ts'

const KIB_8 = 8192

function frame(output: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  const header = Buffer.from([output, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}

function read(bytes: Buffer, contentType?: string, size = bytes.length): string {
  const tail = createLogTail(contentType)
  for (let at = 0; at < bytes.length; at += size) {
    tail.push(bytes.subarray(at, at + size))
  }
  return tail.text()
}

const framed = (...frames: readonly Buffer[]): string => read(Buffer.concat(frames))

describe('frames', () => {
  const log = Buffer.concat([
    frame(1, 'one\n'),
    frame(2, 'err\n'),
    frame(1, ''),
    frame(1, 'è€😀\n'),
  ])

  test('of both outputs are joined in order', () => {
    expect(read(log)).toBe('one\nerr\nè€😀')
  })

  test.each([1, 2, 3, 5, 7, 8, 9, 11])('may be split after every %i bytes', (size) => {
    expect(read(log, undefined, size)).toBe('one\nerr\nè€😀')
  })

  test('with an error of the engine are left out', () => {
    expect(framed(frame(1, 'one\n'), frame(3, 'incomplete log stream'), frame(2, 'two'))).toBe(
      'one\ntwo',
    )
  })

  test('of which only the beginning has arrived are included', () => {
    expect(read(log.subarray(0, -3))).toBe('one\nerr\nè€�')
    expect(read(log.subarray(0, 13))).toBe('one')
  })

  test('after an invalid frame are ignored', () => {
    expect(framed(frame(1, 'one\n'), Buffer.from('garbage, of some length'), frame(1, 'x'))).toBe(
      'one',
    )
  })

  test('may have a length of 4 GiB in their header', () => {
    const header = Buffer.from([1, 0, 0, 0, 255, 255, 255, 255])
    expect(framed(header, Buffer.from('so far'))).toBe('so far')
  })
})

describe('the output of a terminal', () => {
  test('is recognised by its first bytes, without frames', () => {
    expect(read(Buffer.from('hello tty\r\nerr\r\n'))).toBe('hello tty\nerr')
    expect(read(Buffer.from('a'))).toBe('a')
    expect(read(Buffer.from([1, 65, 66, 10]))).toBe('AB')
    expect(read(Buffer.from([1, 0, 0, 65]))).toBe('A')
    expect(read(Buffer.from('hello tty\r\n'), undefined, 1)).toBe('hello tty')
  })

  test('may look like frames if the content type says raw stream', () => {
    const bytes = frame(1, 'one')
    expect(read(bytes, 'application/vnd.docker.raw-stream')).toBe('one')
    expect(read(Buffer.concat([bytes, bytes]), 'application/vnd.docker.raw-stream')).toBe('oneone')
    expect(read(Buffer.from([1, 0, 0, 0, 65]), 'application/vnd.docker.raw-stream')).toBe('A')
  })

  test('is not assumed if the content type says multiplexed stream', () => {
    const type = 'application/vnd.docker.multiplexed-stream'
    expect(read(frame(2, 'one\n'), type)).toBe('one')
    expect(read(Buffer.from('this is none of it'), type)).toBe('')
  })

  test.each(['text/plain', ''])('another content type (%j) is ignored', (type) => {
    expect(read(frame(2, 'one\n'), type)).toBe('one')
    expect(read(Buffer.from('one\n'), type)).toBe('one')
  })
})

describe('the text', () => {
  test.each([
    ['', ''],
    ['\n', ''],
    ['a\n\n', 'a\n'],
    ['a\tb\r\n', 'a\tb'],
    ['\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[K', 'red green'],
    ['\x1b]0;a title\x07x\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\', 'xlink'],
    ['\x1b]0;never ended', ']0;never ended'],
    ['a\x00b\x07c\x7fd\x9be', 'abcde'],
  ])('%j is %j', (written, expected) => {
    expect(framed(frame(1, written))).toBe(expected)
  })

  test('invalid UTF-8 is replaced', () => {
    expect(framed(frame(1, Buffer.from([65, 255, 66])))).toBe('A�B')
  })
})

describe('the end of a long log', () => {
  test('is kept', () => {
    const lines = Array.from({ length: 5000 }, (_, n) => `line ${n}\n`)
    const text = framed(...lines.map((line) => frame(1, line)))
    expect(text).toBe(lines.join('').slice(-KIB_8, -1))
  })

  test('begins with a complete character', () => {
    const text = framed(frame(1, '€'.repeat(10_000)))
    expect(text).toBe('€'.repeat(Math.floor(KIB_8 / 3)))
  })

  test('is at most 8 KiB long, also with invalid UTF-8', () => {
    const text = framed(frame(1, Buffer.alloc(100_000, 0xff)))
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(KIB_8)
    expect(text).toMatch(/^�+$/)
  })

  test('takes linear time, also with incomplete escapes only', () => {
    const plainMs = shortestMs('x'.repeat(100_000))
    for (const start of ['\x1b', '\x1b[', '\x1b]', '\x1b[;', '\x1b];']) {
      // Quadratic time would be more than 500 times as long.
      expect(shortestMs(start.repeat(100_000))).toBeLessThan(100 * plainMs)
      expect(shortestMs(start + ';'.repeat(8000))).toBeLessThan(100 * plainMs)
    }
  })
})

/** Of several runs, the time of the one that was interrupted least. */
function shortestMs(content: string): number {
  const bytes = frame(1, content)
  const times = Array.from({ length: 10 }, () => {
    const startedAt = performance.now()
    read(bytes)
    return performance.now() - startedAt
  })
  return Math.min(...times)
}

test('any bytes in any chunks become plain text of at most 8 KiB', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 5000 }),
      (contents, isFramed, size) => {
        const bytes = Buffer.concat(
          contents.map((content) => (isFramed ? frame(1, Buffer.from(content)) : content)),
        )
        const text = read(bytes, undefined, size)
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(KIB_8)
        expect(text).not.toMatch(/[^\P{Cc}\n\t]/u)
        expect(text).toBe(read(bytes))
      },
    ),
  )
})
