// Writes the histories of services: on change, at most once in 5 s for each service and ten times a second
// in all, and never in the path of a caller.

import { onAbort } from '../async/abort.ts'
import { backoffMs } from '../async/backoff.ts'
import { unref } from '../async/unref.ts'
import { waitFor } from '../async/wait-for.ts'
import type { HistoryStore, StoredHistory } from './history-store.ts'
import { applyChanges, noChanges, type PendingChanges, withoutWritten } from './pending-changes.ts'
import { checkFormat, type StoreState } from './store-state.ts'
import { createWriteRation } from './write-ration.ts'

/** The changes that are not written yet. */
export interface HistoryWriter {
  /**
   * Adds changes, which are written soon.
   *
   * @param serviceId The service's full ID.
   * @param service The name of the service; empty where it is not known.
   * @param change Adds to the changes of the service.
   */
  change(
    serviceId: string,
    service: string,
    change: (changes: PendingChanges) => PendingChanges,
  ): void
  /** The changes of a service that are not written; undefined where there are none. */
  pending(serviceId: string): PendingChanges | undefined
  /** The services with changes that are not written, by the name of the service. */
  pendingOf(service: string): readonly string[]
  /** Starts the writes that are due, also where the runtime has ended the timer with a request. */
  resume(): void
  /** Writes everything at once, in at most 5 s. */
  flush(): Promise<void>
  /** Waits until everything is written, in at most 25 s, and keeps the timers of this request running. */
  idle(): Promise<void>
}

/** What a writer needs. */
export interface HistoryWriterOptions {
  readonly store: HistoryStore
  readonly state: StoreState
  /** After it has aborted, changes are written at once. */
  readonly signal: AbortSignal
  /** How many deployments a history has at most. */
  readonly maxEntries: number
  /** The time in milliseconds, of a clock that does not go back. */
  readonly now: () => number
  /** Called with what the history of a service has, each time that is known. */
  readonly onStored: (serviceId: string, labels: StoredHistory['labels']) => void
  /** Called when a service's changes are dropped because too many wait. */
  readonly onDropped: (serviceId: string) => void
}

/** One write, with its repetitions. */
interface Run {
  /** When its last step began. */
  stepAt: number
}

/** The end of a run. */
interface Result {
  /** The changes that the history has now. */
  readonly changes: PendingChanges
  /** False where it had them already. */
  readonly isWritten: boolean
}

interface Slot {
  readonly serviceId: string
  changes: PendingChanges
  dueAt: number
  failures: number
  run: Run | undefined
}

const SERVICE_INTERVAL_MS = 5000
const WRITES_PER_SECOND = 10
const MAX_SERVICES = 1000
const MAX_ATTEMPTS = 8
const CONFLICT_PAUSE_MS = 50
const FLUSH_MS = 5000
const FLUSH_WRITES = 10
const IDLE_MS = 25_000
const IDLE_STEP_MS = 200
// A timer that is so late was ended by the runtime, and so was a call that takes so long.
const LATE_TIMER_MS = 1000
const STALLED_MS = 60_000

/**
 * Creates a writer.
 *
 * @param options The store, and limits.
 * @returns The writer, without changes. Its timers do not keep a process running.
 */
export function createHistoryWriter(options: HistoryWriterOptions): HistoryWriter {
  const { store, state, signal, maxEntries, now, onStored, onDropped } = options
  const slots = new Map<string, Slot>()
  /** When services without changes were written last, oldest first. */
  const latest = new Map<string, number>()
  const ration = createWriteRation(WRITES_PER_SECOND)
  const settled = new Set<() => void>()
  let flushes = 0
  let timer: { readonly dueAt: number } | undefined

  const isUrgent = (): boolean => signal.aborted || flushes > 0
  const dueOf = ({ dueAt, failures }: Slot): number =>
    isUrgent() && failures === 0 ? Number.NEGATIVE_INFINITY : dueAt
  const running = (): number => [...slots.values()].filter(({ run }) => run !== undefined).length

  function slotOf(serviceId: string, service: string): Slot {
    const known = slots.get(serviceId)
    if (known !== undefined) {
      return known
    }
    dropOldest()
    const lastAt = latest.get(serviceId) ?? Number.NEGATIVE_INFINITY
    const dueAt = lastAt + SERVICE_INTERVAL_MS
    const slot = { serviceId, changes: noChanges(service), dueAt, failures: 0, run: undefined }
    slots.set(serviceId, slot)
    return slot
  }

  function dropOldest(): void {
    const oldest = slots.size < MAX_SERVICES ? undefined : [...slots.values()].find(isWaiting)
    if (oldest !== undefined) {
      slots.delete(oldest.serviceId)
      onDropped(oldest.serviceId)
    }
  }

  /** Starts the writes that are due, and sets the timer for the next one. */
  function resume(): void {
    const at = now()
    for (const [serviceId, lastAt] of latest) {
      if (lastAt + SERVICE_INTERVAL_MS > at) break
      latest.delete(serviceId)
    }
    let nextAt = Number.POSITIVE_INFINITY
    for (const slot of deploymentsFirst()) {
      if (slot.run !== undefined && at - slot.run.stepAt > STALLED_MS) {
        slot.run = undefined
      }
      if (slot.run === undefined) {
        nextAt = Math.min(nextAt, startIfDue(slot, at))
      }
    }
    setTimer(nextAt, at)
  }

  /** What others may have changed is often nothing new, and must not delay what this process has done. */
  function deploymentsFirst(): readonly Slot[] {
    const all = [...slots.values()]
    const hasDeployments = ({ changes }: Slot): boolean => changes.entries.size > 0
    return [...all.filter(hasDeployments), ...all.filter((slot) => !hasDeployments(slot))]
  }

  /** Returns when the service is to be looked at again. */
  function startIfDue(slot: Slot, at: number): number {
    const dueAt = Math.max(dueOf(slot), state.retryAt() ?? Number.NEGATIVE_INFINITY)
    if (dueAt > at) {
      return dueAt
    }
    if (state.isClosed() || isUrgent()) {
      // A closed store is asked for one service only.
      const limit = state.isClosed() ? 1 : FLUSH_WRITES
      if (running() < limit) {
        start(slot, at)
      }
      return Number.POSITIVE_INFINITY
    }
    if (!ration.take(at)) {
      return ration.nextAt()
    }
    start(slot, at)
    return Number.POSITIVE_INFINITY
  }

  function start(slot: Slot, at: number): void {
    const run = { stepAt: at }
    slot.run = run
    slot.dueAt = at + SERVICE_INTERVAL_MS
    void write(slot, run)
  }

  async function write(slot: Slot, run: Run): Promise<void> {
    const startedAt = run.stepAt
    try {
      // The other notes of the same moment are written with this one.
      await Promise.resolve()
      const written = await compareAndSet(slot, run)
      state.worked(slot.serviceId)
      finish(slot, run, { ...written, startedAt })
    } catch (error) {
      state.failed(slot.serviceId, error)
      if (slot.run === run) {
        slot.run = undefined
        slot.failures += 1
        slot.dueAt = now() + backoffMs(slot.failures)
      }
    }
    for (const act of [...settled]) {
      act()
    }
    resume()
  }

  function finish(
    slot: Slot,
    run: Run,
    { changes, isWritten, startedAt }: Result & { readonly startedAt: number },
  ): void {
    const rest = withoutWritten(slot.changes, changes)
    // The interval is between writes: what changed nothing does not count.
    slot.dueAt = isWritten ? slot.dueAt : Number.NEGATIVE_INFINITY
    if (rest !== undefined) {
      slot.changes = rest
    } else if (slots.get(slot.serviceId) === slot) {
      slots.delete(slot.serviceId)
      if (isWritten) {
        latest.delete(slot.serviceId)
        latest.set(slot.serviceId, startedAt)
      }
    }
    if (slot.run === run) {
      slot.run = undefined
      slot.failures = 0
    }
  }

  /** Reads, merges and writes until no other process has written in between. */
  async function compareAndSet(slot: Slot, run: Run): Promise<Result> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      run.stepAt = now()
      const stored = await store.read(slot.serviceId)
      checkFormat(stored)
      const { changes } = slot
      const labels = applyChanges(stored?.labels, changes, maxEntries)
      if (labels === undefined || isStored(stored, labels)) {
        onStored(slot.serviceId, stored?.labels ?? {})
        return { changes, isWritten: false }
      }
      run.stepAt = now()
      if ((await store.write(slot.serviceId, labels, stored)) === 'written') {
        onStored(slot.serviceId, labels)
        return { changes, isWritten: true }
      }
      await pause(Math.random() * CONFLICT_PAUSE_MS * attempt)
    }
    throw new Error(`other processes wrote it ${MAX_ATTEMPTS} times in between`)
  }

  function setTimer(dueAt: number, at: number): void {
    if (timer !== undefined && timer.dueAt <= dueAt && timer.dueAt + LATE_TIMER_MS >= at) {
      return
    }
    if (dueAt === Number.POSITIVE_INFINITY) {
      return
    }
    const own = { dueAt }
    // The timer of an ended request must not be touched on workerd: it does nothing when it fires.
    timer = own
    const fire = (): void => {
      if (timer === own) {
        timer = undefined
        resume()
      }
    }
    unref(setTimeout(fire, Math.max(0, Math.ceil(dueAt - at))))
  }

  onAbort(signal, resume)

  return {
    change(serviceId, service, change) {
      const slot = slotOf(serviceId, service)
      const changes = change(slot.changes)
      slot.changes = changes.service === '' ? { ...changes, service } : changes
      if (withoutWritten(slot.changes, noChanges('')) === undefined) {
        slots.delete(serviceId)
      }
      resume()
    },

    pending: (serviceId) => slots.get(serviceId)?.changes,
    pendingOf: (service) =>
      [...slots.values()].flatMap(({ serviceId, changes }) =>
        changes.service === service ? [serviceId] : [],
      ),
    resume,

    async flush() {
      flushes += 1
      for (const slot of slots.values()) {
        slot.failures = 0
      }
      resume()
      await waitFor(allTried(), { timeoutMs: FLUSH_MS, signals: [] })
      flushes -= 1
    },

    async idle() {
      // A promise of another request never settles on workerd, but a timer of this one fires.
      for (let passedMs = 0; passedMs < IDLE_MS && hasWork(); passedMs += IDLE_STEP_MS) {
        resume()
        // A runtime that has nothing else to do must not end before.
        await new Promise((resolve) => setTimeout(resolve, IDLE_STEP_MS))
      }
    },
  }

  function hasWork(): boolean {
    return slots.size > 0 && !state.isClosed()
  }

  /** Resolves once each service is written, or could not be written. */
  function allTried(): Promise<void> {
    const isDone = (): boolean =>
      !hasWork() || [...slots.values()].every(({ failures, run }) => failures > 0 && !run)
    return new Promise((resolve) => {
      const check = (): void => {
        if (isDone()) {
          settled.delete(check)
          resolve()
        }
      }
      settled.add(check)
      check()
    })
  }
}

function isWaiting({ run }: Slot): boolean {
  return run === undefined
}

function isStored(stored: StoredHistory | undefined, labels: StoredHistory['labels']): boolean {
  const names = Object.keys(labels)
  return (
    stored !== undefined &&
    names.length === Object.keys(stored.labels).length &&
    names.every((name) => stored.labels[name] === labels[name])
  )
}

function pause(timeoutMs: number): Promise<void> {
  return waitFor(new Promise(() => {}), { timeoutMs, signals: [], isBackground: true })
}
