import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  checkSpoolDirectory,
  prepareSpoolDirectory,
} from '../../../src/node/spool/spool-directory.ts'

let folder = ''
let path = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-spool-'))
  path = join(folder, 'spool')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const NEVER_MS = 3_600_000
const check = (directory: string): Promise<string | undefined> =>
  checkSpoolDirectory(directory, NEVER_MS)

describe('a directory that can be a spool', () => {
  test('is created if it is missing, only for its owner, and left empty', async () => {
    const deep = join(path, 'deep', 'er')
    expect(await check(deep)).toBeUndefined()
    expect(readdirSync(deep)).toEqual([])
    for (const directory of [path, join(path, 'deep'), deep]) {
      expect(statSync(directory).mode & 0o777).toBe(0o700)
    }
  })

  test('can be readable for others, below a directory with the sticky bit, and reached by a link', async () => {
    mkdirSync(path)
    chmodSync(path, 0o755)
    chmodSync(folder, 0o1777)
    const link = join(folder, 'link')
    symlinkSync(path, link)
    expect(await check(link)).toBeUndefined()
    expect(await prepareSpoolDirectory(link)).toBe(realpathSync(path))
  })

  test('is not changed by the check: a link that is named like a file of Deployer is not followed', async () => {
    mkdirSync(path, { mode: 0o700 })
    const victim = join(folder, 'victim')
    writeFileSync(victim, 'of root')
    symlinkSync(victim, join(path, '.probe'))
    expect(await check(path)).toBeUndefined()
    expect(readFileSync(victim, 'utf8')).toBe('of root')
    expect(readdirSync(path)).toEqual(['.probe'])
  })
})

describe('a directory that can never be used as a spool is a configuration error', () => {
  test.each(['/proc/x', '/proc/x/y', '/proc/self/x/y/z'])(
    '%s, which no process can create',
    async (name) => {
      expect(await check(name)).toMatch(
        /^is "\/proc\/.*": it cannot be used \(ENOENT.*; name a directory that Deployer can create or write$/,
      )
    },
  )

  test('a file, a path below a file, and a dangling link', async () => {
    writeFileSync(path, '')
    expect(await check(path)).toMatch(/: it is not a directory; name a directory$/)
    expect(await check(join(path, 'below'))).toMatch(/: it cannot be used \(ENOTDIR/)
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'))
    expect(await check(join(folder, 'link'))).toMatch(/: it cannot be used \(ENOENT/)
  })

  test.each([0o777, 0o1777, 0o770, 0o702])('one that others can write to: %o', async (mode) => {
    mkdirSync(path)
    chmodSync(path, mode)
    const shown = mode.toString(8).padStart(4, '0')
    expect(await check(path)).toBe(
      `is "${path}": other users can write to it (mode ${shown}), and could remove or add messages; set its mode to 0700`,
    )
  })

  test.each([0o777, 0o775])('one below a directory that others can write to: %o', async (mode) => {
    mkdirSync(path, { mode: 0o700 })
    chmodSync(folder, mode)
    expect(await check(path)).toBe(
      `is "${path}": other users can write to "${folder}" above it (mode 0${mode.toString(8)}), and could replace it; remove that permission (chmod go-w)`,
    )
  })

  test('one of another user', async () => {
    mkdirSync(path, { mode: 0o700 })
    chownSync(path, 1234, 1234)
    expect(await check(path)).toBe(
      `is "${path}": it belongs to user 1234, and Deployer runs as user ${process.geteuid?.()}; change its owner to that user (chown -R)`,
    )
  })
})

describe('a disk that may work again later is not a configuration error', () => {
  const mount = (...args: readonly string[]): unknown => execFileSync('mount', args)

  beforeEach(() => {
    mkdirSync(path)
    mount('-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', path)
  })

  afterEach(() => {
    execFileSync('umount', [path])
  })

  test('when it is read-only', async () => {
    mount('-o', 'remount,ro', path)
    expect(await check(path)).toBeUndefined()
    await expect(prepareSpoolDirectory(path)).rejects.toMatchObject({ code: 'EROFS' })
    await expect(prepareSpoolDirectory(join(path, 'new'))).rejects.toMatchObject({ code: 'EROFS' })
  })

  test('when it is full', async () => {
    try {
      writeFileSync(join(path, 'filler'), 'x'.repeat(100_000))
    } catch {
      // It is full now.
    }
    expect(await check(path)).toBeUndefined()
  })

  test('when it does not respond', async () => {
    // All threads that Node has for files open a FIFO without a writer.
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
    const stuck = Array.from({ length: threads }, () => openFile(fifo, 'r'))
    expect(await checkSpoolDirectory(path, 10)).toBeUndefined()
    const writer = openSync(fifo, 'r+')
    await Promise.all(stuck.map(async (opening) => (await opening).close()))
    closeSync(writer)
  })
})
