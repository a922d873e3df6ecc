// Applies an update to the current spec with optimistic locking. An update whose result is unknown is
// never repeated.

import { laterRequest } from '../deployment/deployment-record.ts'
import { DeployerError } from '../errors.ts'
import { readLast } from '../rollout/predecessors.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { AppliedUpdate, ApplyUpdateTools, PlannedUpdate } from './applied-update.ts'
import { joinApplied } from './join-applied.ts'
import { joinRecorded } from './join-earlier.ts'
import { checkExpected, findUpdatable } from './service-access.ts'
import { isApplied } from './spec-change.ts'
import { acceptSuperseded } from './superseded-request.ts'
import { writeUpdate } from './write-update.ts'

// Swarm's orchestrator increments a service's version during a rollout, a few times a second at most.
const KEEP_TRYING_MS = 20_000
const MAX_PAUSE_MS = 400
// The attempt from which on the tasks are read before the service.
const READ_TASKS_FIRST_FROM = 2

/**
 * Applies an update to the current spec of a service. When the service changes at the same time, it is
 * read again and the change is applied to the new spec, so that no change of others is lost.
 *
 * @param update The update.
 * @param service The service as it was last read; undefined when it has changed since.
 * @param tools The swarm, and the known deployments.
 * @returns A new deployment, or the one that already wrote the same image, or that of an earlier request
 *   with the same idempotency key.
 * @throws DeployerError `update-out-of-sequence` when the service changed during every attempt for 20 s,
 *   `image-mismatch`, `idempotency-key-reused`, and what {@link findUpdatable} and the {@link Swarm} throw.
 */
export async function applyUpdate(
  update: PlannedUpdate,
  service: Service | undefined,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate> {
  const { request, change } = update
  const giveUpAt = performance.now() + KEEP_TRYING_MS
  // The engine rejects a write to an outdated spec. Only a current one proves that none is needed.
  const isOutdated = service === undefined || isApplied(service, change)
  let current = isOutdated ? await findUpdatable(request, tools.swarm) : service
  let lastReadings = isOutdated ? undefined : update.lastReadings
  for (let attempt = 1; ; attempt += 1) {
    const applied =
      (await joinRecorded(request, current, tools)) ??
      (await attemptUpdate(current, { ...update, lastReadings }, tools))
    if (applied !== undefined) {
      return applied
    }
    if (performance.now() >= giveUpAt) {
      throw outOfSequence(current, attempt)
    }
    await pause(attempt)
    lastReadings = undefined
    // A service that is changed all the time leaves no time between its reading and the write.
    if (attempt >= READ_TASKS_FIRST_FROM) {
      lastReadings = await readLast(current.ID, { ...tools, withHistory: true })
    }
    current = await findUpdatable(request, tools.swarm)
  }
}

/** Returns undefined when the service has changed, and nothing was written. */
async function attemptUpdate(
  current: Service,
  update: PlannedUpdate,
  tools: ApplyUpdateTools,
): Promise<AppliedUpdate | undefined> {
  const { request, change, received } = update
  if (isApplied(current, change)) {
    checkExpected(current, request)
    return joinApplied(current, withCurrentImage(update, current), tools)
  }
  if (laterRequest(current.Spec, received) !== undefined) {
    const message = `A later request to another Deployer was written first: ${currentImage(current.Spec)}`
    return acceptSuperseded({ request, change, service: current, message }, tools)
  }
  checkExpected(current, request)
  return writeUpdate(current, withCurrentImage(update, current), tools)
}

/** A request without an image keeps that of the service, which may be another one than planned. */
function withCurrentImage(update: PlannedUpdate, { Spec }: Service): PlannedUpdate {
  const image = update.request.image === undefined ? currentImage(Spec) : undefined
  return image === undefined ? update : { ...update, change: { ...update.change, image } }
}

function outOfSequence({ Spec }: Service, attempts: number): DeployerError {
  return new DeployerError(
    'update-out-of-sequence',
    `Cannot update service "${Spec.Name}": it was changed by others during each of ${attempts} attempts; nothing was written, try again`,
    { retryAfterSeconds: 1 },
  )
}

function pause(attempt: number): Promise<void> {
  const longest = Math.min(MAX_PAUSE_MS, 20 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)))
}
