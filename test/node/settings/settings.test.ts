import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Flags } from '../../../src/node/settings/setting-list.ts'
import type { SettingsSources } from '../../../src/node/settings/setting-source.ts'
import { readSettings } from '../../../src/node/settings/settings.ts'

type Env = SettingsSources['env']

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const NOTIFY = { addr: 'beanstalkd:11300', tube: 'chat', template: base64('{{.Artifact}}') }
const HOOK = { type: 'webhook', url: 'https://hooks.example.com/SECRET?key=SECRET' }
const EVENTS =
  'accepted, unchanged, converged, rolled-back, paused, failed, timed-out, superseded, removed, unknown, refused'

const folder = mkdtempSync(join(tmpdir(), 'deployer-env-'))
const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
const SELF_SIGNED = 'req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1'.split(' ')
execFileSync('openssl', [...SELF_SIGNED, '-keyout', keyFile, '-out', certificateFile], {
  stdio: 'ignore',
})
const [KEY, CERTIFICATE] = [readFileSync(keyFile, 'utf8'), readFileSync(certificateFile, 'utf8')]
rmSync(folder, { recursive: true })

const CONFIGS: Record<string, string> = {
  '/config.json': JSON.stringify({ auths: { 'r.io': { auth: base64('me:SECRET') } } }),
  '/cut.json': '{"auths":{"r.io":{"auth":"SECRET',
  '/two-errors.json': '{"auths":{"a.io":{"auth":"SECRET"},"b.io":{"username":["SECRET"]}}}',
  '/helper.json': '{"auths":{"r.io":{}},"credsStore":"pass"}',
  '/notify.json': `${JSON.stringify(NOTIFY)}\n`,
  '/two.json': `[${JSON.stringify(NOTIFY)}, ${JSON.stringify(HOOK)}]\r\n`,
  '/broken.json': JSON.stringify([NOTIFY, { ...HOOK, method: 'GET' }]),
  '/empty.json': '\n',
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

function errors(env: Env): readonly string[] {
  const result = read(env)
  return result.ok ? [] : result.errors.map(({ setting, reason }) => `${setting} ${reason}`)
}

function notifyErrors(notify: unknown): readonly string[] {
  const NOTIFY_FLAGS = typeof notify === 'string' ? notify : JSON.stringify(notify)
  const reported = errors({ TOKEN: 'x', NOTIFY_FLAGS })
  expect(reported.join()).not.toContain('SECRET')
  return reported
}

/** The destinations in NOTIFY_FLAGS; undefined after an error. */
function notified(notify: unknown) {
  const result = read({ TOKEN: 'x', NOTIFY_FLAGS: JSON.stringify(notify) })
  return result.ok ? result.settings.notify : undefined
}

// The shortest token that gives no warning.
const LONG = 'x'.repeat(16)

test('TOKEN is the only required setting', () => {
  expect(read({ TOKEN: LONG })).toEqual({
    ok: true,
    warnings: [],
    settings: {
      token: LONG,
      dockerHost: 'unix:///var/run/docker.sock',
      bind: { host: '', port: 9999 },
      notify: [],
      resolveImage: 'auto',
      foreignRegistry: 'clear',
      rolloutTimeoutMs: 1_800_000,
      evidenceLogs: true,
      history: 'config',
      basePath: '',
    },
  })
})

test('all variables are read, and the numbers in NOTIFY_FLAGS have defaults', () => {
  const env = {
    TOKEN: 'x',
    DOCKER_HOST: 'tcp://manager:2375',
    NOTIFY_FLAGS: JSON.stringify(NOTIFY),
    BIND: '[::1]:80',
    RESOLVE_IMAGE: 'require',
    FOREIGN_REGISTRY: 'keep',
    REGISTRY_AUTH_FILE: '/config.json',
    ROLLOUT_TIMEOUT: '90',
    EVIDENCE_LOGS: 'false',
    HISTORY: 'label',
    BASE_PATH: '/cd',
    SPOOL_DIR: '/spool',
  }
  expect(read(env)).toMatchObject({
    settings: {
      dockerHost: 'tcp://manager:2375',
      bind: { host: '::1', port: 80 },
      notify: [
        {
          type: 'beanstalkd',
          name: 'beanstalkd:beanstalkd:11300/chat',
          events: ['accepted'],
          addr: 'beanstalkd:11300',
          tube: 'chat',
          template: '{{.Artifact}}',
          priority: 10,
          delay: 0,
          ttr: 60,
        },
      ],
      resolveImage: 'require',
      foreignRegistry: 'keep',
      registryAuthFile: '/config.json',
      rolloutTimeoutMs: 90_000,
      evidenceLogs: false,
      history: 'label',
      basePath: '/cd',
      spoolDir: '/spool',
    },
  })
})

describe('NOTIFY_FLAGS', () => {
  test('a webhook requires only a URL', () => {
    expect(notified(HOOK)).toEqual([
      {
        type: 'webhook',
        name: 'webhook:https://hooks.example.com',
        events: ['accepted'],
        url: HOOK.url,
        method: 'POST',
        headers: {},
      },
    ])
  })

  test('a webhook has all the keys that are set', () => {
    const given = {
      type: 'webhook',
      name: 'Größe 🚀',
      url: 'http://[::1]:8080/{{.ServiceName}}?v={{.Meta.version}}',
      method: 'PUT',
      headers: { Authorization: 'Bearer x', 'X-Empty': '' },
      secret: `whsec_${base64('x'.repeat(32))}`,
    }
    const all = { ...given, template: base64('{{json .Event}}'), events: ['refused', 'converged'] }
    expect(notified(all)).toEqual([
      { ...given, template: '{{json .Event}}', events: ['converged', 'refused'] },
    ])
  })

  test.each([24, 64])('a secret of %i bytes can be used, with its prefix or without', (length) => {
    const secret = base64('x'.repeat(length))
    expect(notified({ ...HOOK, secret })).toMatchObject([{ secret }])
    expect(notified({ ...HOOK, secret: `whsec_${secret}` })).toHaveLength(1)
  })

  test('an array of 16 destinations keeps its order, and unknown keys of beanstalkd are ignored', () => {
    const many = Array.from({ length: 14 }, (_, index) => ({ ...NOTIFY, tube: `t${index}` }))
    const all = notified([{ ...NOTIFY, type: 'beanstalkd', verbose: true }, ...many, HOOK])
    expect(all?.map(({ type }) => type)).toEqual([...Array(15).fill('beanstalkd'), 'webhook'])
    expect(all?.[0]).not.toHaveProperty('verbose')
    expect(all?.[14]).toMatchObject({ tube: 't13', name: 'beanstalkd:beanstalkd:11300/t13' })
  })

  test.each<[unknown, boolean]>([
    [{ ...NOTIFY, event: ['failed'], Priority: 'SECRET' }, true],
    [{ ...NOTIFY, addr: undefined, event: ['failed'], Priority: 'SECRET' }, false],
  ])(
    'unknown keys of a beanstalkd destination give a warning that names them: %j',
    (notify, ok) => {
      const env = { TOKEN: LONG, NOTIFY_FLAGS: JSON.stringify([NOTIFY, notify]) }
      expect(read(env)).toMatchObject({
        ok,
        warnings: [
          {
            setting: 'NOTIFY_FLAGS[1]',
            reason:
              'has unknown keys, which are ignored: ["event","Priority"]; beanstalkd has only type, addr, tube, template, priority, delay, ttr, events, name',
          },
        ],
      })
    },
  )

  test('the known keys of a beanstalkd destination give no warning', () => {
    const all = { type: 'beanstalkd', priority: 1, delay: 1, ttr: 1, events: ['failed'], name: 'x' }
    const result = read({ TOKEN: LONG, NOTIFY_FLAGS: JSON.stringify({ ...NOTIFY, ...all }) })
    expect(result).toMatchObject({ ok: true, warnings: [] })
  })

  test('destinations without a name get their address and a number as name', () => {
    const all = notified([
      HOOK,
      { ...HOOK, url: 'https://HOOKS.example.com:443/{{.ServiceName}}' },
      { ...HOOK, name: 'webhook:https://hooks.example.com#3' },
      NOTIFY,
      HOOK,
      { ...HOOK, url: 'https://hooks.example.com:444' },
      NOTIFY,
    ])
    expect(all?.map(({ name }) => name)).toEqual([
      'webhook:https://hooks.example.com',
      'webhook:https://hooks.example.com#2',
      'webhook:https://hooks.example.com#3',
      'beanstalkd:beanstalkd:11300/chat',
      'webhook:https://hooks.example.com#4',
      'webhook:https://hooks.example.com:444',
      'beanstalkd:beanstalkd:11300/chat#2',
    ])
  })

  test('the JSON can come from a file, with any line ending', () => {
    const inFile = (NOTIFY_FLAGS_FILE: string) =>
      read({ TOKEN: 'x', NOTIFY_FLAGS: '', NOTIFY_FLAGS_FILE })
    expect(inFile('/notify.json')).toMatchObject({ settings: { notify: [{ tube: 'chat' }] } })
    expect(inFile('/two.json')).toMatchObject({
      settings: { notify: [{ tube: 'chat' }, { url: HOOK.url }] },
    })
  })
})

test('a flag takes precedence over its variable, and an empty variable counts as not set', () => {
  const empty = {
    RESOLVE_IMAGE: '',
    REGISTRY_AUTH_FILE: '',
    ROLLOUT_TIMEOUT: '',
    EVIDENCE_LOGS: '',
    HISTORY: '',
    NOTIFY_FLAGS_FILE: '',
    SPOOL_DIR: '',
  }
  const env = { TOKEN: 'variable', BIND: '', DOCKER_HOST: '', NOTIFY_FLAGS: '', ...empty }
  expect(read(env, { TOKEN: 'flag', BIND: ':1' })).toMatchObject({
    settings: { token: 'flag', bind: { port: 1 }, rolloutTimeoutMs: 1_800_000, history: 'config' },
  })
  expect(read(env)).not.toHaveProperty('settings.registryAuthFile')
  expect(read(env)).not.toHaveProperty('settings.spoolDir')
})

test.each([
  ['1', 1000],
  ['1s', 1000],
  ['24h', 86_400_000],
])('a ROLLOUT_TIMEOUT of %s is accepted', (ROLLOUT_TIMEOUT, rolloutTimeoutMs) => {
  expect(read({ TOKEN: 'x', ROLLOUT_TIMEOUT })).toMatchObject({ settings: { rolloutTimeoutMs } })
})

test('TLS is used for tcp:// if one of its variables is set', () => {
  const tls = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY }
  const tcp = { TOKEN: 'x', DOCKER_HOST: 'tcp://manager' }
  expect(read({ ...tcp, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/certs' })).toMatchObject({
    settings: { tls },
  })
  expect(read({ ...tcp, DOCKER_CERT_PATH: '/certs' })).toMatchObject({ settings: { tls } })
  expect(read({ ...tcp, DOCKER_CERT_PATH: '' })).not.toHaveProperty('settings.tls')
  expect(read({ TOKEN: 'x', DOCKER_CERT_PATH: '/certs' })).not.toHaveProperty('settings.tls')
})

describe('TOKEN_FILE', () => {
  const SECRET = 'SECRET'.repeat(3)

  test.each([
    ['without a line ending', SECRET],
    ['with a line ending', `${SECRET}\n`],
    ['with a Windows line ending', `${SECRET}\r\n`],
  ])('is a file that contains the token %s', (_, content) => {
    CONFIGS['/run/secrets/token'] = content
    const env = { TOKEN: '', TOKEN_FILE: '/run/secrets/token' }
    expect(read(env)).toMatchObject({ settings: { token: SECRET }, warnings: [] })
    expect(read({}, { TOKEN_FILE: '/run/secrets/token' })).toMatchObject({ ok: true })
  })

  test('takes precedence as a flag over the variable', () => {
    CONFIGS['/run/secrets/token'] = SECRET
    const env = { TOKEN_FILE: '/nowhere' }
    expect(read(env, { TOKEN_FILE: '/run/secrets/token' })).toMatchObject({ ok: true })
  })

  const UNUSABLE = 'TOKEN_FILE is "/run/secrets/token", and the token in it can never match'
  test.each([
    ['of which only one line ending is removed', `${SECRET}\n\n`, UNUSABLE],
    ['with white space at its end', `${SECRET} \n`, UNUSABLE],
    ['that is empty', '', 'TOKEN_FILE is "/run/secrets/token", but the file is empty'],
    ['with only a line ending', '\n', 'TOKEN_FILE is "/run/secrets/token", but the file is empty'],
  ])('cannot be a file %s', (_, content, start) => {
    CONFIGS['/run/secrets/token'] = content
    const [error = '', ...others] = errors({ TOKEN_FILE: '/run/secrets/token' })
    expect(error.slice(0, start.length)).toBe(start)
    expect(error).not.toContain('SECRET')
    expect(others).toEqual([])
  })

  test('with a short token gives a warning that does not show it', () => {
    CONFIGS['/run/secrets/token'] = 'SECRET\n'
    const { warnings } = read({ TOKEN_FILE: '/run/secrets/token' })
    expect(warnings).toEqual([
      {
        setting: 'TOKEN_FILE',
        reason: expect.stringMatching(/^is "\/run\/secrets\/token", .* shorter than 16 characters/),
      },
    ])
    expect(JSON.stringify(warnings)).not.toContain('SECRET')
  })

  test.each<[string, Env, string]>([
    [
      'with TOKEN',
      { TOKEN: SECRET, TOKEN_FILE: '/run/secrets/token' },
      'TOKEN_FILE is set, and so is TOKEN: set only one of them',
    ],
    [
      'that cannot be read',
      { TOKEN_FILE: '/nowhere' },
      'TOKEN_FILE is "/nowhere", but it cannot be read (ENOENT: /nowhere): set the path of a file that Deployer may read',
    ],
    [
      'that contains the token instead of a path',
      { TOKEN_FILE: SECRET },
      'TOKEN_FILE is not an absolute path: set the path of a file that contains the token, such as /run/secrets/deployer_token',
    ],
  ])('%s is an error', (_, env, error) => {
    expect(errors(env)).toEqual([error])
  })

  test('with the flag --token is an error', () => {
    expect(read({ TOKEN_FILE: '/run/secrets/token' }, { TOKEN: SECRET })).toMatchObject({
      errors: [{ setting: 'TOKEN_FILE', reason: expect.stringContaining('and so is TOKEN') }],
    })
  })
})

describe('errors', () => {
  test('the errors of all settings are reported together', () => {
    const env = {
      DOCKER_HOST: 'http://x',
      BIND: 'nine',
      NOTIFY_FLAGS: '{"addr":1,"tube":"-","template":"?","priority":-1,"delay":1.5,"ttr":0}',
      RESOLVE_IMAGE: 'always',
      FOREIGN_REGISTRY: 'drop',
      REGISTRY_AUTH_FILE: '/nowhere',
      ROLLOUT_TIMEOUT: 'soon',
      EVIDENCE_LOGS: 'yes',
      HISTORY: 'true',
      BASE_PATH: 'cd/',
      SPOOL_DIR: 'spool',
    }
    expect(errors(env).map((error) => error.split(' ')[0])).toEqual([
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
      'FOREIGN_REGISTRY',
      'ROLLOUT_TIMEOUT',
      'EVIDENCE_LOGS',
      'HISTORY',
      'REGISTRY_AUTH_FILE',
      'BASE_PATH',
      'SPOOL_DIR',
    ])
  })

  test.each([
    [
      {},
      'TOKEN is not set: set TOKEN (or --token) to the secret that callers must send, or TOKEN_FILE to a file that contains it',
    ],
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
    [
      { TOKEN: 'x', FOREIGN_REGISTRY: 'Keep' },
      'FOREIGN_REGISTRY is "Keep": it must be clear or keep',
    ],
    ...['soon', '0', '25h', '86401', '-1', '1.5h'].map((text): [Env, string] => [
      { TOKEN: 'x', ROLLOUT_TIMEOUT: text },
      `ROLLOUT_TIMEOUT is "${text}": it must be a time from 1s to 24h, such as 90s, 30m or 2h`,
    ]),
    [
      { TOKEN: 'x', BASE_PATH: '/' },
      'BASE_PATH is "/": it must be like /cd, without a slash at the end',
    ],
    ...['spool', './spool', '~/spool'].map((text): [Env, string] => [
      { TOKEN: 'x', SPOOL_DIR: text },
      `SPOOL_DIR is "${text}": it must be an absolute path, such as /spool`,
    ]),
    [
      { TOKEN: 'x', NOTIFY_FLAGS_FILE: '/nowhere' },
      'NOTIFY_FLAGS_FILE is "/nowhere", but it cannot be read (ENOENT: /nowhere): set the path of a file that Deployer may read',
    ],
    [
      { TOKEN: 'x', NOTIFY_FLAGS_FILE: '/notify.json', NOTIFY_FLAGS: JSON.stringify(NOTIFY) },
      'NOTIFY_FLAGS_FILE is set, and so is NOTIFY_FLAGS: set only one of them',
    ],
    [
      { TOKEN: 'x', NOTIFY_FLAGS_FILE: '/broken.json' },
      'NOTIFY_FLAGS_FILE[1].method is "GET": it must be POST, PUT or PATCH',
    ],
    [
      { TOKEN: 'x', NOTIFY_FLAGS_FILE: '/empty.json' },
      'NOTIFY_FLAGS_FILE is not a JSON object or an array of JSON objects: it must be like {"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}',
    ],
    [{ TOKEN: 'x', EVIDENCE_LOGS: '1' }, 'EVIDENCE_LOGS is "1": it must be true or false'],
    [{ TOKEN: 'x', HISTORY: 'on' }, 'HISTORY is "on": it must be config, label or off'],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/nowhere' },
      'REGISTRY_AUTH_FILE is "/nowhere", but it cannot be read (ENOENT: /nowhere): set the path of a file that Deployer may read',
    ],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/cut.json' },
      'REGISTRY_AUTH_FILE is "/cut.json", but it is not a JSON object: it must be a Docker config.json with "auths", as "docker login" writes it',
    ],
    [
      { TOKEN: 'x', REGISTRY_AUTH_FILE: '/helper.json' },
      'REGISTRY_AUTH_FILE is "/helper.json", but its passwords are in a credential helper (credsStore), which Deployer does not run: give the registry an entry in "auths" whose "auth" is base64 of user:password',
    ],
  ])('%j: %s', (env, error) => {
    expect(errors(env)).toEqual([error])
  })

  test.each<[Env, string]>([
    [{ DOCKER_HOST: 'tcp://me:SECRET@host:bad' }, 'DOCKER_HOST is "tcp://***@host:bad"'],
    [{ DOCKER_HOST: 'ssh://me:SECRET@host' }, 'DOCKER_HOST is "ssh://***@host"'],
    [{ DOCKER_HOST: 'tcp://me:SECRET@SECRET/SECRET@host' }, 'DOCKER_HOST is "tcp://***@host"'],
    [{ DOCKER_HOST: 'tcp://me:SECRET%40host:1x' }, 'DOCKER_HOST is "tcp://***@host:1x"'],
    [{ DOCKER_HOST: `tcp://me:${'SECRET'.repeat(40)}@host:1x` }, 'DOCKER_HOST is "tcp://***@'],
    [{ DOCKER_HOST: 'me:SECRET@host:1' }, 'DOCKER_HOST is "***@host:1"'],
    [{ BIND: 'me:SECRET@host:1' }, 'BIND is "***@host:1"'],
    [
      { NOTIFY_FLAGS: JSON.stringify({ ...NOTIFY, addr: 'me:SECRET@host:1' }) },
      'NOTIFY_FLAGS.addr is "***@host:1"',
    ],
    [
      { NOTIFY_FLAGS: JSON.stringify({ ...NOTIFY, addr: ['me:SECRET@host:1'] }) },
      'NOTIFY_FLAGS.addr is ["***@host:1"]',
    ],
    [
      { NOTIFY_FLAGS: JSON.stringify({ ...HOOK, url: 'https://me:SECRET@x/' }) },
      'NOTIFY_FLAGS.url cannot be used',
    ],
    [
      { NOTIFY_FLAGS_FILE: JSON.stringify(HOOK) },
      'NOTIFY_FLAGS_FILE is JSON, but it must be the path of a file',
    ],
    [
      { REGISTRY_AUTH_FILE: '{"auths":"SECRET"}' },
      'REGISTRY_AUTH_FILE is JSON, but it must be the path of a file',
    ],
    [{ REGISTRY_AUTH_FILE: '/no@where' }, 'REGISTRY_AUTH_FILE is "/no@where"'],
  ])('errors do not show passwords: %j', (env, start) => {
    const [error = '', ...others] = errors({ TOKEN: 'x', ...env })
    expect(error.slice(0, start.length)).toBe(start)
    expect(error).not.toContain('SECRET')
    expect(others).toEqual([])
  })

  test.each(['x\n', ' x', 'x ', 'a\tb', 'a\u0000'])(
    'a token that no header can contain is an error that does not show it: %j',
    (token) => {
      const [error = ''] = errors({ TOKEN: `SECRET${token}SECRET`.slice(6, -6) })
      expect(error).toMatch(/^TOKEN can never match/)
      expect(errors({ TOKEN: `${token}SECRET\n` }).join()).not.toContain('SECRET')
    },
  )

  test('each entry of REGISTRY_AUTH_FILE that cannot be used is reported without its secrets', () => {
    const reported = errors({ TOKEN: 'x', REGISTRY_AUTH_FILE: '/two-errors.json' })
    expect(reported).toEqual([
      'REGISTRY_AUTH_FILE is "/two-errors.json", but its entry "a.io" has an "auth" that is not base64 of user:password: log in again',
      'REGISTRY_AUTH_FILE is "/two-errors.json", but its entry "b.io" has a member "username" that is not a string: log in again',
    ])
  })

  test('each certificate that cannot be read is reported', () => {
    const tcp = { TOKEN: 'x', DOCKER_HOST: 'tcp://manager' }
    const reported = errors({ ...tcp, DOCKER_CERT_PATH: '/nowhere' })
    expect(reported).toHaveLength(3)
    expect(reported[0]).toMatch(/^DOCKER_CERT_PATH is "\/nowhere", but ca\.pem cannot be read/)
    expect(errors({ ...tcp, DOCKER_CERT_PATH: '/broken' })).toEqual([
      expect.stringMatching(/^DOCKER_CERT_PATH is "\/broken", but .* cannot be used \(.*PEM/),
    ])
    expect(errors({ ...tcp, DOCKER_TLS_VERIFY: '1', HOME: '/home/me' })[0]).toContain(
      '"/home/me/.docker"',
    )
  })

  test.each([
    ['{', 'NOTIFY_FLAGS is not a JSON object'],
    ['{"addr":"SECRET",', 'NOTIFY_FLAGS is not a JSON object'],
    ['[]', 'NOTIFY_FLAGS is an empty array'],
    [[[NOTIFY]], 'NOTIFY_FLAGS[0] is not a JSON object: it must be like {'],
    [[NOTIFY, 'SECRET'], 'NOTIFY_FLAGS[1] is not a JSON object: it must be like {'],
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
      'NOTIFY_FLAGS.template is base64, but the decoded template cannot be used: ',
    ],
    [
      { ...NOTIFY, template: Buffer.from([0xff]).toString('base64') },
      'NOTIFY_FLAGS.template is base64, but the decoded template cannot be used: ',
    ],
    [{ ...NOTIFY, priority: '10' }, 'NOTIFY_FLAGS.priority is "10"'],
    [{ ...NOTIFY, ttr: 4_294_967_296 }, 'NOTIFY_FLAGS.ttr is 4294967296'],
  ])('%j: %s', (notify, start) => {
    const reported = notifyErrors(notify)
    expect(reported).toHaveLength(1)
    expect(reported[0]?.startsWith(start)).toBe(true)
  })

  const key = base64('x'.repeat(32))
  const EVENTS_FORM = `it must be an array of at least one of ${EVENTS}, each once`
  const NAME_FORM = 'it must be 1 to 100 printable characters, without white space at an end'
  const SECRET_FORM =
    'it must be 24 to 64 random bytes in base64, with or without the prefix whsec_'
  const HEADER_FORM =
    'a header cannot contain a line break or another control character, or begin or end with white space'

  test.each<[unknown, ...string[]]>([
    ['[]', ' is an empty array: leave the variable unset for no notifications'],
    [Array(17).fill(NOTIFY), ' has 17 destinations: the maximum is 16'],
    [
      [1, NOTIFY, null],
      ...['[0]', '[2]'].map(
        (index) =>
          `${index} is not a JSON object: it must be like {"addr":"beanstalkd:11300","tube":"chat","template":"<base64>"}`,
      ),
    ],
    [{ ...NOTIFY, type: 'webhooks' }, '.type is "webhooks": it must be beanstalkd or webhook'],
    [{ url: 'https://hooks.example.com' }, '.type is missing: with "url" it must be webhook'],
    [[{ ...NOTIFY, type: null }], '[0].type is null: it must be beanstalkd or webhook'],
    [{ ...NOTIFY, events: [] }, `.events is []: ${EVENTS_FORM}`],
    [{ ...NOTIFY, events: 'failed' }, `.events is "failed": ${EVENTS_FORM}`],
    [{ ...NOTIFY, events: ['verdicts'] }, `.events is ["verdicts"]: ${EVENTS_FORM}`],
    [{ ...HOOK, events: ['failed', 1] }, `.events is ["failed",1]: ${EVENTS_FORM}`],
    [{ ...HOOK, events: ['failed', 'failed'] }, `.events is ["failed","failed"]: ${EVENTS_FORM}`],
    [{ ...NOTIFY, name: '' }, `.name is "": ${NAME_FORM}`],
    [{ ...NOTIFY, name: ' x' }, `.name is " x": ${NAME_FORM}`],
    [{ ...NOTIFY, name: 'x\u00a0' }, `.name is "x\u00a0": ${NAME_FORM}`],
    [{ ...NOTIFY, name: 'a\nb' }, `.name is "a\\nb": ${NAME_FORM}`],
    [{ ...HOOK, name: null }, `.name is null: ${NAME_FORM}`],
    [{ ...HOOK, name: 'x'.repeat(101) }, `.name is "${'x'.repeat(99)}…: ${NAME_FORM}`],
    [
      [{ ...HOOK, name: 'chat' }, NOTIFY, { ...NOTIFY, name: 'chat', tube: '-' }],
      '[2].tube is "-": it must be 1 to 200 letters, digits and -+/;.$_(), not starting with -',
      '[2].name is "chat", and so is NOTIFY_FLAGS[0].name: give each destination a unique name',
    ],
    [{ type: 'webhook' }, '.url is missing: it must be like https://hooks.example.com/deployments'],
    [
      { ...HOOK, url: ['SECRET'] },
      '.url is not a string: it must be like https://hooks.example.com/deployments',
    ],
    [
      { ...HOOK, url: 'ftp://x/SECRET' },
      '.url cannot be used: it must begin with http:// or https://',
    ],
    [
      { ...HOOK, url: 'https://{{.ServiceName}}/SECRET' },
      '.url cannot be used: a variable must come after the host and a /',
    ],
    [
      { ...HOOK, url: 'https://me:SECRET@x/' },
      '.url cannot be used: it must not have credentials: send an Authorization header',
    ],
    [
      { ...HOOK, url: 'https://x/SECRET//{{.ServiceName}}' },
      '.url cannot be used: a segment of its path is empty, "." or "..", perhaps once it is decoded',
    ],
    [
      { ...HOOK, url: 'https://x/SECRET{{.ServiceName' },
      '.url cannot be used: line 1, column 17: unclosed action',
    ],
    [{ ...HOOK, method: 'get' }, '.method is "get": it must be POST, PUT or PATCH'],
    [{ ...HOOK, method: null }, '.method is null: it must be POST, PUT or PATCH'],
    [
      { ...HOOK, headers: ['SECRET'] },
      '.headers is not an object of strings, such as {"Authorization": "…"}',
    ],
    [
      [{ ...HOOK, headers: { a: 1, 'b c': 'SECRET', d: 'SECRET\n', e: 'SECRET\u0001', f: '€' } }],
      '[0].headers has "a", which cannot be used: its value is not a string',
      '[0].headers has "b c", which cannot be used: the name or the value of "b c" has characters that HTTP does not allow',
      `[0].headers has "d", which cannot be used: ${HEADER_FORM}`,
      `[0].headers has "e", which cannot be used: ${HEADER_FORM}`,
      '[0].headers has "f", which cannot be used: the name or the value of "f" has characters that HTTP does not allow',
    ],
    ...['Webhook-Id', 'webhook-timestamp', 'Webhook-Signature', 'HOST', 'Content-Length'].map(
      (name): [unknown, string] => [
        { ...HOOK, headers: { [name]: 'x' } },
        `.headers has "${name}", which cannot be used: "${name}" is set by Deployer`,
      ],
    ),
    ...[
      '',
      'SECRET',
      base64('x'.repeat(23)),
      base64('x'.repeat(65)),
      `whsec-${key}`,
      `${key}=`,
    ].map((secret): [unknown, string] => [
      { ...HOOK, secret },
      `.secret cannot be used: ${SECRET_FORM}`,
    ]),
    [{ ...HOOK, secret: 1 }, '.secret cannot be used: it is not a string'],
    [{ ...HOOK, template: '{}' }, '.template is not base64: encode the message with "base64 -w0"'],
    [
      { ...HOOK, secrets: 'SECRET', Url: 'SECRET' },
      ...['secrets', 'Url'].map(
        (name) =>
          ` has a key "${name}", but a webhook has only type, url, method, headers, template, secret, events, name`,
      ),
    ],
  ])('%j: NOTIFY_FLAGS%s', (notify, ...expected) => {
    expect(notifyErrors(notify)).toEqual(expected.map((error) => `NOTIFY_FLAGS${error}`))
  })

  test('the errors of all destinations are reported together', () => {
    const reported = notifyErrors([
      { addr: 1, tube: '-', template: '?', priority: -1, delay: 1.5, ttr: 0, events: 0, name: 0 },
      { type: 'webhook', method: 0, headers: 0, template: 0, secret: 0, events: 0, name: 0, x: 0 },
      { type: 'mail' },
    ])
    expect(reported.map((error) => error.split(' ')[0])).toEqual([
      ...['addr', 'tube', 'template', 'priority', 'delay', 'ttr', 'events', 'name'].map(
        (name) => `NOTIFY_FLAGS[0].${name}`,
      ),
      'NOTIFY_FLAGS[1]',
      ...['url', 'method', 'headers', 'template', 'secret', 'events', 'name'].map(
        (name) => `NOTIFY_FLAGS[1].${name}`,
      ),
      'NOTIFY_FLAGS[2].type',
    ])
  })

  test('base64 with line breaks, and a byte order mark in the template, are kept as Go keeps them', () => {
    const template = base64(`\uFEFF{{.Artifact}} ${'long '.repeat(30)}`).replace(/.{76}/g, '$&\n')
    expect(
      read({ TOKEN: 'x', NOTIFY_FLAGS: JSON.stringify({ ...NOTIFY, template }) }),
    ).toMatchObject({
      settings: { notify: [{ template: `\uFEFF{{.Artifact}} ${'long '.repeat(30)}` }] },
    })
  })
})
