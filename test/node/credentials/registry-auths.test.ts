import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  findRegistryAuth,
  parseRegistryAuths,
} from '../../../src/node/credentials/registry-auths.ts'

const HUB = 'https://index.docker.io/v1/'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const login = (userAndPassword: string) => ({ auth: base64(userAndPassword) })

function config(auths: unknown): string {
  return JSON.stringify({ auths })
}

function parsed(text: string) {
  const result = parseRegistryAuths(text)
  return result.ok ? Object.fromEntries(result.auths) : result.errors
}

/** Decodes a value of `X-Registry-Auth`. */
function decoded(header: string | undefined): unknown {
  return header === undefined
    ? undefined
    : JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
}

function found(auths: unknown, domain: string): unknown {
  const result = parseRegistryAuths(config(auths))
  return result.ok ? decoded(findRegistryAuth(result.auths, domain)) : result.errors
}

describe('an entry', () => {
  test.each<[string, unknown, unknown]>([
    ['auth', login('me:pass'), { username: 'me', password: 'pass' }],
    ['a password with colons', login('me:a:b:'), { username: 'me', password: 'a:b:' }],
    ['an empty password', login('me:'), { username: 'me' }],
    ['NULs behind the password', login('me:pass\0\0'), { username: 'me', password: 'pass' }],
    [
      'base64 with line breaks, which Go passes over',
      { auth: base64('me:pass').replace(/.{4}/g, '$&\r\n') },
      { username: 'me', password: 'pass' },
    ],
    [
      'username and password',
      { username: 'me', password: 'pass' },
      { username: 'me', password: 'pass' },
    ],
    [
      'auth, which wins over them',
      { ...login('me:pass'), username: 'you', password: 'old' },
      { username: 'me', password: 'pass' },
    ],
    [
      'an identity token, which wins over a password',
      { ...login('me:pass'), identitytoken: 'T' },
      { username: 'me', identitytoken: 'T' },
    ],
    ['an identity token alone', { identitytoken: 'T' }, { identitytoken: 'T' }],
    ['a registry token', { registrytoken: 'T', auth: '' }, { registrytoken: 'T' }],
    [
      'members of other programs',
      { ...login('me:pass'), email: 1 },
      { username: 'me', password: 'pass' },
    ],
  ])('can contain %s', (_, entry, auth) => {
    expect(parsed(config({ 'r.io': entry }))).toEqual({ 'r.io': auth })
  })

  test.each<[unknown]>([
    [{}],
    [null],
    [{ email: 'me@example.com' }],
    [{ auth: '' }],
    [{ auth: null, password: 'x' }],
  ])('%j counts as missing', (entry) => {
    expect(parsed(config({ 'r.io': entry }))).toEqual({})
  })

  test('with any user without a colon and any password is read as it was written', () => {
    const text = (constraints: fc.StringConstraints) =>
      fc.string({ unit: 'binary', ...constraints })
    const user = text({ minLength: 1 }).filter((name) => !name.includes(':'))
    const password = text({}).filter((word) => !/^\0|\0$/.test(word))
    fc.assert(
      fc.property(user, password, (username, secret) => {
        expect(found({ 'r.io': login(`${username}:${secret}`) }, 'r.io')).toEqual({
          username,
          ...(secret === '' ? {} : { password: secret }),
          serveraddress: 'r.io',
        })
      }),
    )
  })
})

describe('a file', () => {
  test.each([
    ['', 'it is not a JSON object'],
    ['[]', 'it is not a JSON object'],
    ['{"auths":{"r.io":{"auth":"SECRET', 'it is not a JSON object'],
    ['{}', 'it has no "auths"'],
    ['{"auths":[]}', 'its "auths" is not a JSON object'],
    ['{"auths":"SECRET"}', 'its "auths" is not a JSON object'],
    ['{"auths":{"r.io":"SECRET"}}', 'its entry "r.io" is not a JSON object'],
    ['{"auths":{"r.io":{"auth":1}}}', 'its entry "r.io" has a member "auth" that is not a string'],
    [
      '{"auths":{"r.io":{"identitytoken":{"a":"SECRET"}}}}',
      'its entry "r.io" has a member "identitytoken" that is not a string',
    ],
    [config({ 'r.io': { auth: 'SECRET!' } }), 'its entry "r.io" has an "auth" that is not base64'],
    [
      config({ 'r.io': { auth: base64('me:SECRETS').replaceAll('=', '') } }),
      'its entry "r.io" has an "auth" that is not base64',
    ],
    [config({ 'r.io': login('SECRET') }), 'its entry "r.io" has an "auth" that is not base64'],
    [config({ 'r.io': login(':SECRET') }), 'its entry "r.io" has an "auth" that is not base64'],
    [
      config({ 'r.io': { auth: Buffer.from([0x61, 0x3a, 0xff]).toString('base64') } }),
      'its entry "r.io" has an "auth" that is not base64',
    ],
    [config({ 'https://me:SECRET@r.io': 1 }), 'its entry "r.io" is not a JSON object'],
    ['{"credsStore":"pass"}', 'its passwords are in a credential helper (credsStore)'],
    [
      '{"auths":{"r.io":{}},"credHelpers":{"r.io":"ecr-login"}}',
      'its passwords are in a credential helper (credHelpers)',
    ],
  ])('%j: %s', (text, start) => {
    const errors = parsed(text)
    expect(errors).toEqual([expect.stringMatching(/./)])
    expect(String(errors).slice(0, start.length)).toBe(start)
    expect(String(errors)).not.toContain('SECRET')
  })

  test('with several errors reports all of them', () => {
    expect(parsed(config({ a: 1, b: login('me:pass'), c: { username: 2 } }))).toHaveLength(2)
  })

  test.each([
    ['after a logout', '{"auths":{}}', 0],
    [
      'with a helper for others',
      `{"auths":{"r.io":{"auth":"${base64('me:pass')}"},"s.io":{}},"credsStore":"pass"}`,
      1,
    ],
    ['that names no helper', '{"auths":{},"credsStore":"","credHelpers":{}}', 0],
  ])('%s is accepted', (_, text, count) => {
    const result = parseRegistryAuths(text)
    expect(result.ok && result.auths.size).toBe(count)
  })
})

describe('the credentials for', () => {
  const entry = login('me:pass')
  const credentials = { username: 'me', password: 'pass' }

  test.each([
    ['r.io', 'r.io'],
    ['r.io', 'https://r.io'],
    ['r.io', 'http://r.io/'],
    ['r.io', 'https://r.io/v1/'],
    ['r.io', 'r.io/team'],
    ['r.io:5000', 'r.io:5000'],
    ['localhost:5000', 'http://localhost:5000/v2/'],
    ['[::1]:5000', '[::1]:5000'],
  ])('%s are in the entry %s, which becomes the server address', (domain, key) => {
    expect(found({ [key]: entry }, domain)).toEqual({ ...credentials, serveraddress: key })
  })

  // An engine with the containerd image store looks at the host of the address.
  test.each([HUB, 'docker.io', 'index.docker.io', 'https://docker.io', 'https://index.docker.io'])(
    'Docker Hub are in the entry %s, and the address is the one that every engine knows',
    (key) => {
      expect(found({ [key]: entry }, 'docker.io')).toEqual({ ...credentials, serveraddress: HUB })
    },
  )

  test.each([
    ['r.io', 'r.io:5000'],
    ['r.io:5000', 'r.io'],
    ['r.io', 'sub.r.io'],
    ['r.io', 'r.io.evil.example'],
    ['r.io', 'https://evil.example/r.io'],
    ['r.io', HUB],
    ['docker.io', 'r.io'],
    ['docker.io', `${HUB}access-token`],
    ['docker.io', `${HUB}refresh-token`],
    ['', ''],
    ['', 'https://'],
    ['constructor', 'r.io'],
    ['__proto__', 'r.io'],
  ])('%j are not in the entry %j', (domain, key) => {
    expect(found({ [key]: entry }, domain)).toBeUndefined()
  })

  test.each([
    ['r.io', { 'https://r.io': login('url:x'), 'r.io': login('exact:x') }, 'exact'],
    ['r.io', { 'https://r.io/v1/': login('first:x'), 'http://r.io': login('second:x') }, 'first'],
    ['r.io', { 'r.io': {}, 'https://r.io': login('url:x') }, 'url'],
    ['docker.io', { 'docker.io': login('other:x'), [HUB]: login('exact:x') }, 'exact'],
    ['docker.io', { 'https://docker.io': login('url:x'), 'docker.io': login('name:x') }, 'name'],
  ])('%s, of several entries: %j', (domain, auths, username) => {
    expect(found(auths, domain)).toMatchObject({ username })
  })

  test('a registry are encoded as Docker does: base64url with padding', () => {
    const result = parseRegistryAuths(config({ 'r.io': login('me:ÿ?>~ÿÿ') }))
    const header = result.ok ? findRegistryAuth(result.auths, 'r.io') : undefined
    const json = '{"username":"me","password":"ÿ?>~ÿÿ","serveraddress":"r.io"}'
    expect(header).toBe(base64(json).replaceAll('+', '-').replaceAll('/', '_'))
    expect(header).toMatch(/^[\w-]+=*$/)
    expect((header ?? '').length % 4).toBe(0)
  })
})
