import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readRegularFile } from '../../../src/node/spool/regular-file.ts'

let folder = ''
let path = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-file-'))
  path = join(folder, 'file')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function refused(reason: string, isForeign = false) {
  return { kind: 'refused', reason, isForeign }
}

const NO_FILE = refused('it is not a regular file')

describe('a regular file of this user', () => {
  test.each(['', 'ä', 'x'.repeat(100)])('is read whole', async (text) => {
    writeFileSync(path, text)
    const file = await readRegularFile(path, 100)
    expect(file.kind).toBe('content')
    expect(file.kind === 'content' && new TextDecoder().decode(file.bytes)).toBe(text)
  })

  test('is refused if it is larger than the maximum', async () => {
    writeFileSync(path, 'x'.repeat(101))
    expect(await readRegularFile(path, 100)).toEqual(refused('it is larger than 100 bytes'))
  })

  test('that does not exist is an error', async () => {
    await expect(readRegularFile(path, 100)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('an entry that is not a regular file is refused without blocking', () => {
  test('a link, even a dangling one', async () => {
    writeFileSync(join(folder, 'other'), 'secret')
    symlinkSync(join(folder, 'other'), path)
    expect(await readRegularFile(path, 100)).toEqual(NO_FILE)
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'))
    expect(await readRegularFile(join(folder, 'dangling'), 100)).toEqual(NO_FILE)
  })

  test('a FIFO without a writer', async () => {
    execFileSync('mkfifo', [path])
    expect(await readRegularFile(path, 100)).toEqual(NO_FILE)
  })

  test('an endless device, and a link to one', async () => {
    execFileSync('mknod', [path, 'c', '1', '5'])
    expect(await readRegularFile(path, 100)).toEqual(NO_FILE)
    symlinkSync('/dev/zero', join(folder, 'link'))
    expect(await readRegularFile(join(folder, 'link'), 100)).toEqual(NO_FILE)
  })

  test('a directory', async () => {
    mkdirSync(path)
    expect(await readRegularFile(path, 100)).toEqual(NO_FILE)
  })

  test('a socket', async () => {
    const server = createServer().listen(path)
    await new Promise((resolve) => server.once('listening', resolve))
    expect(await readRegularFile(path, 100)).toEqual(NO_FILE)
    server.close()
  })

  test('a file of another user', async () => {
    writeFileSync(path, '1')
    chownSync(path, 1234, 1234)
    expect(await readRegularFile(path, 100)).toEqual(refused('it belongs to user 1234', true))
  })
})
