import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFile, writeAtomically } from '../../../src/node/spool/atomic-file.ts'

let folder = ''
let path = ''
let victim = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deployer-file-'))
  path = join(folder, 'a.json')
  victim = join(folder, 'victim')
  writeFileSync(victim, 'of another user')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a file is replaced by one with the whole content that only its owner can access', async () => {
  writeFileSync(path, 'old', { mode: 0o644 })
  await writeAtomically(path, 'new ä', 0o600)
  expect(readFileSync(path, 'utf8')).toBe('new ä')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
})

test('a link is replaced, not followed', async () => {
  symlinkSync(victim, path)
  await writeAtomically(path, 'new', 0o600)
  expect(readFileSync(victim, 'utf8')).toBe('of another user')
  expect(readFileSync(path, 'utf8')).toBe('new')
})

test('a failed write leaves no temporary file, and does not change the old file', async () => {
  mkdirSync(path)
  await expect(writeAtomically(path, 'new', 0o600)).rejects.toThrow()
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
  expect(statSync(path).isDirectory()).toBe(true)
})

test('a file is created only if its name does not exist, even as a dangling link', async () => {
  symlinkSync(join(folder, 'nowhere'), path)
  await expect(createFile(path, 'x', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(createFile(victim, 'x', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
  expect(readFileSync(victim, 'utf8')).toBe('of another user')
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
})
