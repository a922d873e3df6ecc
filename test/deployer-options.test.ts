import { describe, expect, test } from 'vitest'
import { checkOptions, type DeployerOptions } from '../src/deployer-options.ts'
import { createFakeHistoryStore } from './support/fake-history-store.ts'
import { createFakeSpool } from './support/fake-spool.ts'
import { createFakeSwarm } from './support/fake-swarm.ts'

const swarm = createFakeSwarm()
const historyStore = createFakeHistoryStore()
const OPTIONS: DeployerOptions = { token: 'SOME_TOKEN', swarm }

describe('checkOptions', () => {
  test.each<[string, Partial<DeployerOptions>]>([
    ['the least', {}],
    [
      'all of them',
      {
        notifier() {},
        notifierEvents: ['failed'],
        spool: createFakeSpool(),
        logger: { info() {}, warn() {}, error() {} },
        registryAuth: () => undefined,
        resolveImage: 'require',
        foreignRegistry: 'keep',
        rolloutTimeoutMs: 1,
        evidenceLogs: false,
        historyStore,
        history: 'config',
        watchForeignChanges: true,
        basePath: '/api/cd',
        signal: new AbortController().signal,
      },
    ],
    ['the longest timeout', { rolloutTimeoutMs: 2_147_483_647 }],
    ['a history store alone', { historyStore }],
    ['a history store that is not used', { historyStore, history: 'off' }],
    ['a history in the label', { history: 'label' }],
    ['no history', { history: 'off' }],
    ['no base path', { basePath: '' }],
    ['a token beyond ASCII', { token: 'schlüssel' }],
  ])('accepts %s', (_, options) => {
    expect(() => checkOptions({ ...OPTIONS, ...options })).not.toThrow()
  })

  test.each<[Readonly<Record<string, unknown>>, typeof TypeError | typeof RangeError, string]>([
    [{ token: '' }, TypeError, 'token'],
    [{ token: undefined }, TypeError, 'token'],
    [{ token: 'x\n' }, TypeError, '`token`'],
    [{ token: ' x' }, TypeError, '`token`'],
    [{ swarm: undefined }, TypeError, 'inspectService'],
    [{ swarm: null }, TypeError, '`swarm`'],
    [{ swarm: { ...swarm, watchServices: undefined } }, TypeError, 'it has no watchServices)'],
    [{ notifier: 'chat' }, TypeError, '`notifier`'],
    [{ registryAuth: {} }, TypeError, '`registryAuth`'],
    [{ logger: console.log }, TypeError, '`logger`'],
    [{ logger: { info() {}, warn() {} } }, TypeError, '`logger`'],
    [{ resolveImage: 'always' }, TypeError, 'auto, require or never'],
    [{ foreignRegistry: 'drop' }, TypeError, '`foreignRegistry`'],
    [{ resolveImage: true }, TypeError, '`resolveImage`'],
    [{ rolloutTimeoutMs: 0 }, RangeError, '`rolloutTimeoutMs` 0'],
    [{ rolloutTimeoutMs: -1 }, RangeError, '`rolloutTimeoutMs`'],
    [{ rolloutTimeoutMs: Number.NaN }, RangeError, '`rolloutTimeoutMs`'],
    [{ rolloutTimeoutMs: 2_147_483_648 }, RangeError, 'from 1 to 2147483647'],
    [{ rolloutTimeoutMs: '1000' }, RangeError, '`rolloutTimeoutMs`'],
    [{ evidenceLogs: 'false' }, TypeError, '`evidenceLogs`'],
    [{ historyStore: {} }, TypeError, '`historyStore`: it has no read, write, list, remove'],
    [{ historyStore: { ...historyStore, list: 1 } }, TypeError, 'it has no list'],
    [{ historyStore: null }, TypeError, '`historyStore`'],
    [{ watchForeignChanges: 1 }, TypeError, '`watchForeignChanges`: it must be true or false'],
    [{ history: 'configs' }, TypeError, 'config, label or off'],
    [{ history: true }, TypeError, '`history`'],
    [{ history: 'config' }, TypeError, 'set `historyStore`'],
    [{ basePath: 'cd' }, TypeError, '`basePath`'],
    [{ basePath: '/' }, TypeError, '`basePath`'],
    [{ basePath: '/cd/' }, TypeError, '`basePath`'],
    [{ basePath: '//evil.example' }, TypeError, '`basePath`'],
    [{ basePath: '/cd?x' }, TypeError, '`basePath`'],
    [{ basePath: '/c d' }, TypeError, '`basePath`'],
    [{ basePath: 1 }, TypeError, '`basePath`'],
    [{ signal: new AbortController() }, TypeError, '`signal`'],
    [{ rolloutTimeout: 1000 }, TypeError, '`rolloutTimeout`: there is no such option; the closest'],
    [{ notifyer: undefined }, TypeError, 'the closest one is `notifier`'],
  ])('%j is invalid', (options, error, text) => {
    const check = (): void => checkOptions({ ...OPTIONS, ...options } as DeployerOptions)
    expect(check).toThrow(error)
    expect(check).toThrow(text)
  })

  test('no message contains the token', () => {
    const token = 'hunter2\n'
    expect(() => checkOptions({ ...OPTIONS, token })).not.toThrow('hunter2')
  })
})
