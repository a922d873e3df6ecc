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
  writeFileSync(victim, 'of somebody else')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a file is written whole, for its owner alone, in the place of the one before', async () => {
  writeFileSync(path, 'old', { mode: 0o644 })
  await writeAtomically(path, 'new ä', 0o600)
  expect(readFileSync(path, 'utf8')).toBe('new ä')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
})

test('a link in the place of the file is replaced, and not followed', async () => {
  symlinkSync(victim, path)
  await writeAtomically(path, 'new', 0o600)
  expect(readFileSync(victim, 'utf8')).toBe('of somebody else')
  expect(readFileSync(path, 'utf8')).toBe('new')
})

test('a write that fails leaves no temporary file, and what was there as it was', async () => {
  mkdirSync(path)
  await expect(writeAtomically(path, 'new', 0o600)).rejects.toThrow()
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
  expect(statSync(path).isDirectory()).toBe(true)
})

test('a file is created only where nothing has its name, be it a link that leads nowhere', async () => {
  symlinkSync(join(folder, 'nowhere'), path)
  await expect(createFile(path, 'x', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(createFile(victim, 'x', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
  expect(readFileSync(victim, 'utf8')).toBe('of somebody else')
  expect(readdirSync(folder).sort()).toEqual(['a.json', 'victim'])
})
