import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Flags, readSettings, type SettingsSources } from '../../src/node/env.ts'

type Env = SettingsSources['env']

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const NOTIFY = { addr: 'beanstalkd:11300', tube: 'chat', template: base64('{{.Artifact}}') }

const folder = mkdtempSync(join(tmpdir(), 'deployer-env-'))
const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
const SELF_SIGNED = 'req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1'.split(' ')
execFileSync('openssl', [...SELF_SIGNED, '-keyout', keyFile, '-out', certificateFile], {
  stdio: 'ignore',
})
const [KEY, CERTIFICATE] = [readFileSync(keyFile, 'utf8'), readFileSync(certificateFile, 'utf8')]
rmSync(folder, { recursive: true })

const CONFIGS: Readonly<Record<string, string>> = {
  '/config.json': JSON.stringify({ auths: { 'r.io': { auth: base64('me:SECRET') } } }),
  '/cut.json': '{"auths":{"r.io":{"auth":"SECRET',
  '/two-faults.json': '{"auths":{"a.io":{"auth":"SECRET"},"b.io":{"username":["SECRET"]}}}',
  '/helper.json': '{"auths":{"r.io":{}},"credsStore":"pass"}',
}

function read(env: Env, flags: Flags = {}) {
  const readFile = (path: string): string => {
    if (path.startsWith('/certs/')) {
      return path === '/certs/key.pem' ? KEY : CERTIFICATE
    }
    if (path.startsWith('/broken/')) {
      return 'no PEM'
    }
    const config = CONFIGS[path]
    if (config !== undefined) {
      return config
    }
    throw new Error(`ENOENT: ${path}`)
  }
  return readSettings(flags, { env, readFile })
}

function faults(env: Env): readonly string[] {
  const result = read(env)
  return result.ok ? [] : result.faults
}

function notifyFaults(notify: unknown): readonly string[] {
  const NOTIFY_FLAGS = typeof notify === 'string' ? notify : JSON.stringify(notify)
  return faults({ TOKEN: 'x', NOTIFY_FLAGS })
}

test('a token alone is enough', () => {
  expect(read({ TOKEN: 'x' })).toEqual({
    ok: true,
    settings: {
      token: 'x',
      dockerHost: 'unix:///var/run/docker.sock',
      bind: { host: '', port: 9999 },
      resolveImage: 'auto',
      rolloutTimeoutMs: 1_800_000,
      evidenceLogs: true,
      basePath: '',
    },
  })
})

test('every variable is read, and the numbers of NOTIFY_FLAGS have defaults', () => {
  const env = {
    TOKEN: 'x',
    DOCKER_HOST: 'tcp://manager:2375',
    NOTIFY_FLAGS: JSON.stringify(NOTIFY),
    BIND: '[::1]:80',
    RESOLVE_IMAGE: 'require',
    REGISTRY_AUTH_FILE: '/config.json',
    ROLLOUT_TIMEOUT: '90',
    EVIDENCE_LOGS: 'false',
    BASE_PATH: '/cd',
  }
  expect(read(env)).toMatchObject({
    settings: {
      dockerHost: 'tcp://manager:2375',
      bind: { host: '::1', port: 80 },
      notify: {
        addr: 'beanstalkd:11300',
        tube: 'chat',
        template: '{{.Artifact}}',
        priority: 10,
        delay: 0,
        ttr: 60,
      },
      resolveImage: 'require',
      registryAuthFile: '/config.json',
      rolloutTimeoutMs: 90_000,
      evidenceLogs: false,
      basePath: '/cd',
    },
  })
})

test('a flag wins over its variable; an empty variable is none', () => {
  const empty = {
    RESOLVE_IMAGE: '',
    REGISTRY_AUTH_FILE: '',
    ROLLOUT_TIMEOUT: '',
    EVIDENCE_LOGS: '',
  }
  const env = { TOKEN: 'variable', BIND: '', DOCKER_HOST: '', NOTIFY_FLAGS: '', ...empty }
  expect(read(env, { TOKEN: 'flag', BIND: ':1' })).toMatchObject({
    settings: { token: 'flag', bind: { port: 1 }, rolloutTimeoutMs: 1_800_000 },
  })
  expect(read(env)).not.toHaveProperty('settings.registryAuthFile')
})

test.each([
  ['1', 1000],
  ['1s', 1000],
  ['24h', 86_400_000],
])('a ROLLOUT_TIMEOUT of %s is let in', (ROLLOUT_TIMEOUT, rolloutTimeoutMs) => {
  expect(read({ TOKEN: 'x', ROLLOUT_TIMEOUT })).toMatchObject({ settings: { rolloutTimeoutMs } })
})

test('TLS is used for tcp:// when its variables ask for it', () => {
  const tls = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY }
  const tcp = { TOKEN: 'x', DOCKER_HOST: 'tcp://manager' }
  expect(read({ ...tcp, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/certs' })).toMatchObject({
    settings: { tls },
  })
  expect(read({ ...tcp, DOCKER_CERT_PATH: '/certs' })).toMatchObject({ settings: { tls } })
  expect(read({ ...tcp, DOCKER_CERT_PATH: '' })).not.toHaveProperty('settings.tls')
  expect(read({ TOKEN: 'x', DOCKER_CERT_PATH: '/certs' })).not.toHaveProperty('settings.tls')
})

describe('faults', () => {
  test('all are told at once', () => {
    const env = {
      DOCKER_HOST: 'http://x',
      BIND: 'nine',
      NOTIFY_FLAGS: '{"addr":1,"tube":"-","template":"?","priority":-1,"delay":1.5,"ttr":0}',
      RESOLVE_IMAGE: 'always',
      REGISTRY_AUTH_FILE: '/nowhere',
      ROLLOUT_TIMEOUT: 'soon',
      EVIDENCE_LOGS: 'yes',
      BASE_PATH: 'cd/',
    }
    expect(faults(env).map((fault) => fault.split(' ')[0])).toEqual([
      'TOKEN',
      'DOCKER_HOST',
      'NOTIFY_FLAGS.addr',
      'NOTIFY_FLAGS.tube',
      'NOTIFY_FLAGS.template',
      'NOTIFY_FLAGS.priority',
      'NOTIFY_FLAGS.delay',
      'NOTIFY_FLAGS.ttr',
      'BIND',
      'RESOLVE_IMAGE',
      'REGISTRY_AUTH_FILE',
      'ROLLOUT_TIMEOUT',
      'EVIDENCE_LOGS',
      'BASE_PATH',
    ])
  })

  test.each([
    [{}, 'TOKEN is not set: set it (or --token) to the secret that callers must send'],
    [
      { TOKEN: 'x', DOCKER_HOST: '/run/docker.sock' },
      'DOCKER_HOST is "/run/docker.sock": it must be like unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host',
    ],
    [
      { TOKEN: 'x', BIND: '9999' },
      'BIND is "9999": it must be like :9999, 127.0.0.1:9999 or [::1]:9999',
    ],
    [
      { TOKEN: 'x', RESOLVE_IMAGE: 'Auto' },
      'RESOLVE_IMAGE is "Auto": it must be auto, require or never',
    ],
    ...['soon', '0', '25h', '86401', '-1', '1.5h'].map((text): [Env, string] => [
      { TOKEN: 'x', ROLLOUT_TIMEOUT: text },
      `ROLLOUT_TIMEOUT is "${text}": it must be a time from 1s to 24h, such as 90s, 30m or 2h`,
    ]),
    [
      { TOKEN: 'x', BASE_PATH: '/' },
      'BASE_PATH is "/": it must be like /cd, without a slash at the end',
    ],
    [{ TOKEN: 'x', EVIDENCE_LOGS: '1' }, 'EVIDENCE_LOGS is "1": it must be true or false'],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/nowhere' },
      'REGISTRY_AUTH_FILE is "/nowhere", but it cannot be read (ENOENT: /nowhere): give Deployer a config.json that it may read',
    ],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/cut.json' },
      'REGISTRY_AUTH_FILE is "/cut.json", but it is not a JSON object: it must be a Docker config.json with "auths", as "docker login" writes it',
    ],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/helper.json' },
      'REGISTRY_AUTH_FILE is "/helper.json", but its passwords are in a credential helper (credsStore), which Deployer does not run: give the registry an entry in "auths" whose "auth" is base64 of user:password',
    ],
  ])('%j: %s', (env, fault) => {
    expect(faults(env)).toEqual([fault])
  })

  test.each(['x\n', ' x', 'x ', 'a\tb', 'a\u0000'])(
    'a token that no header can carry is told, not shown: %j',
    (token) => {
      const [fault = ''] = faults({ TOKEN: `SECRET${token}SECRET`.slice(6, -6) })
      expect(fault).toMatch(/^TOKEN can never match/)
      expect(faults({ TOKEN: `${token}SECRET\n` }).join()).not.toContain('SECRET')
    },
  )

  test('each entry of REGISTRY_AUTH_FILE that cannot be used, without its secrets', () => {
    const told = faults({ TOKEN: 'x', REGISTRY_AUTH_FILE: '/two-faults.json' })
    expect(told).toEqual([
      'REGISTRY_AUTH_FILE is "/two-faults.json", but its entry "a.io" has an "auth" that is not base64 of user:password: log in again',
      'REGISTRY_AUTH_FILE is "/two-faults.json", but its entry "b.io" has a member "username" that is not a string: log in again',
    ])
  })

  test('each certificate that cannot be read', () => {
    const tcp = { TOKEN: 'x', DOCKER_HOST: 'tcp://manager' }
    const told = faults({ ...tcp, DOCKER_CERT_PATH: '/nowhere' })
    expect(told).toHaveLength(3)
    expect(told[0]).toMatch(/^DOCKER_CERT_PATH is "\/nowhere", but ca\.pem cannot be read/)
    expect(faults({ ...tcp, DOCKER_CERT_PATH: '/broken' })).toEqual([
      expect.stringMatching(/^DOCKER_CERT_PATH is "\/broken", but .* cannot be used \(.*PEM/),
    ])
    expect(faults({ ...tcp, DOCKER_TLS_VERIFY: '1', HOME: '/home/me' })[0]).toContain(
      '"/home/me/.docker"',
    )
  })

  test.each([
    ['{', 'NOTIFY_FLAGS is not a JSON object'],
    ['{"addr":"SECRET",', 'NOTIFY_FLAGS is not a JSON object'],
    ['[]', 'NOTIFY_FLAGS is not a JSON object'],
    ['null', 'NOTIFY_FLAGS is not a JSON object'],
    [{ ...NOTIFY, addr: undefined }, 'NOTIFY_FLAGS.addr is missing'],
    [{ ...NOTIFY, addr: ':11300' }, 'NOTIFY_FLAGS.addr is ":11300"'],
    [{ ...NOTIFY, tube: 'a b' }, 'NOTIFY_FLAGS.tube is "a b"'],
    [{ ...NOTIFY, tube: 'x'.repeat(201) }, 'NOTIFY_FLAGS.tube is'],
    [{ ...NOTIFY, template: undefined }, 'NOTIFY_FLAGS.template is missing'],
    [{ ...NOTIFY, template: 1 }, 'NOTIFY_FLAGS.template is not base64'],
    [{ ...NOTIFY, template: '{{.Artifact}}' }, 'NOTIFY_FLAGS.template is not base64'],
    [
      { ...NOTIFY, template: base64('{{.Nope}}') },
      'NOTIFY_FLAGS.template cannot be used once decoded: ',
    ],
    [
      { ...NOTIFY, template: Buffer.from([0xff]).toString('base64') },
      'NOTIFY_FLAGS.template cannot be used once decoded: ',
    ],
    [{ ...NOTIFY, priority: '10' }, 'NOTIFY_FLAGS.priority is "10"'],
    [{ ...NOTIFY, ttr: 4_294_967_296 }, 'NOTIFY_FLAGS.ttr is 4294967296'],
  ])('%j: %s', (notify, start) => {
    const told = notifyFaults(notify)
    expect(told).toHaveLength(1)
    expect(told[0]?.startsWith(start)).toBe(true)
    expect(told[0]).not.toContain('SECRET')
  })

  test('base64 with line breaks, and a byte order mark in the template, are kept as Go keeps them', () => {
    const template = base64(`\uFEFF{{.Artifact}} ${'long '.repeat(30)}`).replace(/.{76}/g, '$&\n')
    expect(
      read({ TOKEN: 'x', NOTIFY_FLAGS: JSON.stringify({ ...NOTIFY, template }) }),
    ).toMatchObject({
      settings: { notify: { template: `\uFEFF{{.Artifact}} ${'long '.repeat(30)}` } },
    })
  })
})
