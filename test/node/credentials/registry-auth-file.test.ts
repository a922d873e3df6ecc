import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createRegistryAuthFile } from '../../../src/node/credentials/registry-auth-file.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const login = (userAndPassword: string) => ({ auth: base64(userAndPassword) })

function config(auths: unknown): string {
  return JSON.stringify({ auths })
}

/** Decodes a value of `X-Registry-Auth`. */
function decoded(header: string | undefined): unknown {
  return header === undefined
    ? undefined
    : JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
}

describe('a file that changes', () => {
  let folder = ''
  let path = ''
  let reported: string[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'deployer-auth-'))
    path = join(folder, 'config.json')
    reported = []
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  const write = (userAndPassword: string, to = path): void =>
    writeFileSync(to, config({ 'r.io': login(userAndPassword) }))
  const open = () => createRegistryAuthFile(path, { onError: (message) => reported.push(message) })
  const passwordIn = (store: ReturnType<typeof open>): unknown => decoded(store('r.io'))

  test('is read again, and other registries have no credentials', () => {
    write('me:old')
    const store = open()
    expect(passwordIn(store)).toMatchObject({ password: 'old' })
    expect(store('s.io')).toBeUndefined()
    write('me:newer')
    expect(passwordIn(store)).toMatchObject({ password: 'newer' })
    writeFileSync(path, config({}))
    expect(passwordIn(store)).toBeUndefined()
    expect(reported).toEqual([])
  })

  test('is read again if it is another file of the same size and time', () => {
    const other = join(folder, 'other.json')
    write('me:one')
    write('me:two', other)
    for (const file of [path, other]) {
      utimesSync(file, 1000, 1000)
    }
    const store = open()
    renameSync(other, path)
    expect(passwordIn(store)).toMatchObject({ password: 'two' })
  })

  test('is read again if a link in its path is replaced, as Kubernetes does', () => {
    const versions = ['one', 'two'].map((version) => {
      const directory = join(folder, version)
      mkdirSync(directory)
      write(`me:${version}`, join(directory, 'config.json'))
      return directory
    })
    const data = join(folder, '..data')
    symlinkSync(String(versions[0]), data)
    symlinkSync(join('..data', 'config.json'), path)
    const store = open()
    expect(passwordIn(store)).toMatchObject({ password: 'one' })
    symlinkSync(String(versions[1]), `${data}_tmp`)
    renameSync(`${data}_tmp`, data)
    expect(passwordIn(store)).toMatchObject({ password: 'two' })
  })

  test('keeps its last valid credentials while it is invalid, and reports that once for each change', () => {
    write('me:old')
    const store = open()
    writeFileSync(path, '{"auths":{"r.io":{"auth":"SECRET')
    expect([passwordIn(store), passwordIn(store)]).toMatchObject([
      { password: 'old' },
      { password: 'old' },
    ])
    expect(reported).toEqual([
      `Cannot read the registry credentials in "${path}" again, so the last valid ones stay in use: it is not a JSON object: it must be a Docker config.json with "auths", as "docker login" writes it`,
    ])
    writeFileSync(path, '{"auths":{"r.io":{"auth":"SECRET again')
    passwordIn(store)
    passwordIn(store)
    expect(reported).toHaveLength(2)
    write('me:mended')
    expect(passwordIn(store)).toMatchObject({ password: 'mended' })
    expect(reported.join()).not.toContain('SECRET')
    expect(reported).toHaveLength(2)
  })

  test('returns its last valid credentials when the callback throws', () => {
    write('me:old')
    const store = createRegistryAuthFile(path, {
      onError() {
        throw new Error('callback')
      },
    })
    writeFileSync(path, '{')
    expect(passwordIn(store)).toMatchObject({ password: 'old' })
  })

  test('keeps its last valid credentials while it is missing, and reports that once', () => {
    write('me:old')
    const store = open()
    renameSync(path, `${path}.moved`)
    expect([passwordIn(store), passwordIn(store)]).toMatchObject([
      { password: 'old' },
      { password: 'old' },
    ])
    expect(reported).toEqual([expect.stringContaining('it cannot be read (ENOENT')])
    renameSync(`${path}.moved`, path)
    expect(passwordIn(store)).toMatchObject({ password: 'old' })
    renameSync(path, `${path}.moved`)
    passwordIn(store)
    expect(reported).toHaveLength(2)
    mkdirSync(path)
    passwordIn(store)
    passwordIn(store)
    expect(reported).toEqual([
      expect.stringContaining('ENOENT'),
      expect.stringContaining('ENOENT'),
      expect.stringContaining('EISDIR'),
    ])
  })

  test('must be usable at creation', () => {
    expect(open).toThrow(TypeError)
    expect(open).toThrow(/^Cannot use the registry credentials in ".*": it cannot be read \(ENOENT/)
    writeFileSync(path, '{"auths":{"a.io":{"auth":"SECRET"},"b.io":{"auth":"SECRET"}}}')
    expect(open).toThrow(/its entry "a\.io" .*; its entry "b\.io" /)
    expect(open).not.toThrow(/SECRET/)
    expect(reported).toEqual([])
  })
})

test('an unknown option throws when the store is created', () => {
  const options = { onError() {}, onErrors() {} }
  expect(() => createRegistryAuthFile('/nonexistent', options)).toThrow(
    new TypeError(
      'Cannot use the option `onErrors`: there is no such option; the closest one is `onError`',
    ),
  )
})
