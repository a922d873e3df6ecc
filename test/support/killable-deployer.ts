// A Deployer that can be killed at each of its calls: nothing of it runs or writes any more.

import { createDeployer } from '../../src/deployer.ts'
import type { DeployerOptions } from '../../src/deployer-options.ts'
import { DeployerError } from '../../src/errors.ts'
import type { HistoryStore } from '../../src/history/history-store.ts'
import type { DeployerApp } from '../../src/http/schema.ts'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import type { Spool } from '../../src/notification/spool.ts'
import type { Swarm } from '../../src/swarm/swarm.ts'

/** A call at which a process can be stopped: before it takes effect, or before its result arrives. */
export const stops = [
  'inspect',
  'resolve',
  'tasks',
  'update',
  'updated',
  'put',
  'stored',
  'remove',
  'notify',
  'notified',
  'read',
  'write',
  'noted',
] as const

export type Stop = (typeof stops)[number]

/** The world that the process is in. */
export interface KillableDeployerOptions {
  readonly swarm: Swarm
  readonly spool: Spool
  readonly historyStore: HistoryStore
  /** Options of the deployer besides. */
  readonly options: Pick<DeployerOptions, 'rolloutTimeoutMs' | 'history'>
  readonly token: string
  /** The engine's clock as this process knows it. */
  readonly now: () => number
  /** The engine took a write of this process; `key` is the fingerprint of its idempotency key. */
  readonly written: (startedAt: string, key: string) => void
  readonly notified: (event: DeploymentEvent) => void
}

/** A process. */
export interface KillableDeployer {
  readonly app: DeployerApp
  /** The next call of this kind waits until `release`. */
  holdAt(stop: Stop): void
  release(): void
  /** The answer of the next update is lost. */
  loseAnswer(): void
  /** Ends it with its signal, as at SIGTERM. */
  end(): void
  /** From now on none of its calls has an effect or a result. */
  kill(): void
}

const NEVER = new Promise<never>(() => {})

/**
 * Starts a process.
 *
 * @param options The world that it is in.
 * @returns The process.
 */
export function createKillableDeployer({
  swarm,
  spool,
  historyStore,
  options,
  token,
  now,
  ...recorders
}: KillableDeployerOptions): KillableDeployer {
  const ending = new AbortController()
  const held = new Set<Stop>()
  const gates: (() => void)[] = []
  let isDead = false
  let losesAnswer = false

  /** Does not return in a process that is killed. */
  async function pass(stop?: Stop): Promise<void> {
    if (stop !== undefined && held.delete(stop)) {
      await new Promise<void>((open) => gates.push(open))
    }
    if (isDead) await NEVER
  }

  async function call<T>(act: () => Promise<T> | T, before?: Stop, after?: Stop): Promise<T> {
    await pass(before)
    try {
      const result = await act()
      await pass(after)
      return result
    } catch (error) {
      await pass(after)
      throw error
    }
  }

  async function update(
    ...args: Parameters<Swarm['updateService']>
  ): ReturnType<Swarm['updateService']> {
    const outcome = await swarm.updateService(...args)
    if (outcome === 'updated') {
      const [newest = ''] = args[1].Labels?.['deployer.deployments']?.split(' ') ?? []
      const [, startedAt = '', , key = ''] = newest.split('/')
      recorders.written(startedAt, key)
    }
    if (losesAnswer) {
      losesAnswer = false
      throw new DeployerError('engine-unreachable', 'The connection broke')
    }
    return outcome
  }

  const app = createDeployer({
    token,
    ...options,
    ...(options.history === 'config' && {
      historyStore: {
        read: (...args) => call(() => historyStore.read(...args), 'read'),
        write: (...args) => call(() => historyStore.write(...args), 'write', 'noted'),
        list: (...args) => call(() => historyStore.list(...args)),
        remove: (...args) => call(() => historyStore.remove(...args)),
      },
    }),
    swarm: {
      inspectService: (...args) => call(() => swarm.inspectService(...args), 'inspect'),
      updateService: (...args) => call(() => update(...args), 'update', 'updated'),
      resolveImage: (...args) => call(() => swarm.resolveImage(...args), 'resolve'),
      listServices: (...args) => call(() => swarm.listServices(...args)),
      listTasks: (...args) => call(() => swarm.listTasks(...args), 'tasks'),
      listNodes: () => call(() => swarm.listNodes()),
      readTaskLog: (...args) => call(() => swarm.readTaskLog(...args)),
      watchServices: (...args) => call(() => swarm.watchServices(...args)),
      now,
    },
    spool: {
      put: (...args) => call(() => spool.put(...args), 'put', 'stored'),
      remove: (...args) => call(() => spool.remove(...args), 'remove'),
      read: () => call(() => spool.read()),
      isSafe: (key) => spool.isSafe(key),
    },
    notifier: (event) => call(() => recorders.notified(event), 'notify', 'notified'),
    signal: ending.signal,
  })

  function release(): void {
    held.clear()
    for (const open of gates.splice(0)) open()
  }

  return {
    app,
    holdAt: (stop) => void held.add(stop),
    release,
    loseAnswer() {
      losesAnswer = true
    },
    end: () => ending.abort(),
    kill() {
      isDead = true
      release()
      ending.abort()
    },
  }
}
