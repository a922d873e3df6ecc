// How long the engine monitors the tasks of an update, and how long it waits.

import type { UpdateConfig, WatchedService, WatchedSpec } from '../swarm/engine-types.ts'

/** The times of an update or of a rollback, in milliseconds. */
export interface Timing {
  /** How long a new task has to run until the engine ignores a failure of it. */
  readonly monitorMs: number
  /**
   * The same, by the longest time that the engine may use: where the delay is not shorter than the monitor
   * period, it monitors the last tasks for the delay and one second more (swarmkit,
   * manager/orchestrator/update/updater.go; seen on 20.10).
   */
  readonly longestMonitorMs: number
  /** How long the engine waits after each task before it updates the next one. */
  readonly updateDelayMs: number
  /** How long the engine waits before it restarts a task. */
  readonly restartDelayMs: number
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000
const DEFAULT_MONITOR_MS = 5000
const DEFAULT_RESTART_DELAY_MS = 5000

/**
 * Gets the configuration of the latest update or rollback.
 *
 * @param service The service.
 * @returns The configuration; undefined or null: the engine's defaults.
 */
export function latestConfig({
  Spec,
  UpdateStatus,
}: WatchedService): UpdateConfig | null | undefined {
  return UpdateStatus?.State?.startsWith('rollback_') ? Spec.RollbackConfig : Spec.UpdateConfig
}

/**
 * Gets the times of an update or of a rollback.
 *
 * @param spec The spec whose tasks are created.
 * @param config The configuration of updates or of rollbacks.
 * @returns The times. By default the engine monitors and restarts after 5 s, and has no delay of updates.
 */
export function timingOf(spec: WatchedSpec, config: UpdateConfig | null | undefined): Timing {
  const monitorMs = inMilliseconds(config?.Monitor) || DEFAULT_MONITOR_MS
  const updateDelayMs = inMilliseconds(config?.Delay)
  const restartDelay = spec.TaskTemplate.RestartPolicy?.Delay ?? undefined
  return {
    monitorMs,
    longestMonitorMs: updateDelayMs >= monitorMs ? updateDelayMs + 1000 : monitorMs,
    updateDelayMs,
    restartDelayMs:
      restartDelay === undefined ? DEFAULT_RESTART_DELAY_MS : inMilliseconds(restartDelay),
  }
}

/**
 * Gets how long after the engine has ended an update a failure of its tasks may still belong to the update:
 * a task that failed just before is restarted after a delay, and then has to live through the monitor
 * period.
 *
 * @param service The service, with the configuration of its latest update or rollback.
 * @returns Milliseconds.
 */
export function aftermathMs(service: WatchedService): number {
  const { restartDelayMs, monitorMs } = timingOf(service.Spec, latestConfig(service))
  return restartDelayMs + monitorMs
}

function inMilliseconds(nanoseconds = 0): number {
  return nanoseconds / NANOSECONDS_PER_MILLISECOND
}
