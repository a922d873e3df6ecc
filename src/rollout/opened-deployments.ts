// Deployments that a caller knows by an ID alone. Anybody with the token can make such an ID up, so
// they are kept apart from those of this process, few at a time, and only while somebody asks.

import { type Deployment, parseDeploymentId } from '../deployment/deployment.ts'
import { readRecord } from '../deployment/deployment-record.ts'
import { DeployerError } from '../errors.ts'
import type { Service } from '../swarm/service.ts'
import { type KnownDeployment, REASONS, settled } from './known-deployment.ts'
import { type WatchTools, watchRollout } from './rollout-watch.ts'

/** A deployment that a caller has opened. */
export interface OpenedDeployment {
  readonly known: KnownDeployment
  /** Ends the caller's interest. The watch ends with that of the last caller. */
  close(): void
}

/** The deployments that were opened by their IDs. */
export interface OpenedDeployments {
  /**
   * Opens a deployment.
   *
   * @param id Its ID.
   * @returns The deployment; each opening needs one `close`.
   * @throws DeployerError `deployment-not-found` when that is no ID; `overloaded` when 100 others are
   *   under way, unless the service's own record names the deployment and no other ID that repeats the
   *   same entry of the record is under way.
   */
  open(id: string): Promise<OpenedDeployment>
}

interface Entry {
  known: KnownDeployment
  callers: number
}

const MAX_UNDER_WAY = 100
const MAX_ENDED = 100
const RETRY_AFTER_SECONDS = 5

/**
 * Creates the registry of opened deployments.
 *
 * @param tools What watches work with.
 * @returns The registry, empty. It keeps the verdicts of the latest 100 that ended.
 */
export function createOpenedDeployments(tools: WatchTools): OpenedDeployments {
  const entries = new Map<string, Entry>()

  function visit(id: string, entry: Entry): OpenedDeployment {
    entry.callers += 1
    let isOpen = true
    return {
      known: entry.known,
      close() {
        entry.callers -= isOpen ? 1 : 0
        isOpen = false
        if (entry.callers === 0 && isUnderWay(entry)) {
          entry.known.stop()
          forget(id, entry)
        }
      },
    }
  }

  function forget(id: string, entry: Entry): void {
    if (entries.get(id) === entry) {
      entries.delete(id)
    }
  }

  function watch(id: string, deployment: Deployment): Entry {
    const entry: Entry = { known: { ...watchRollout(deployment, tools), id }, callers: 0 }
    entries.set(id, entry)
    void entry.known.ended.then((outcome) => {
      if (entries.get(id) === entry) {
        // All that was seen of the swarm goes with the watch; the latest ends come last.
        entry.known = settled(deployment, outcome)
        entries.delete(id)
        entries.set(id, entry)
        forgetOldest()
      }
    })
    return entry
  }

  function forgetOldest(): void {
    const ended = [...entries].filter(([, entry]) => !isUnderWay(entry))
    for (const [id, entry] of ended.slice(0, -MAX_ENDED)) {
      forget(id, entry)
    }
  }

  /** How many count towards the limit: each entry of a record exempts one deployment. */
  function countUnderWay(): number {
    const exempt = new Set<string>()
    let count = 0
    for (const { known } of [...entries.values()].filter(isUnderWay)) {
      const write = writeOf(known.deployment)
      if (!exempt.has(write) && isNamedBy(known.progress().snapshot.service, known)) {
        exempt.add(write)
      } else {
        count += 1
      }
    }
    return count
  }

  function isWriteWatched(deployment: Deployment): boolean {
    const write = writeOf(deployment)
    return [...entries.values()].some(
      (entry) => isUnderWay(entry) && writeOf(entry.known.deployment) === write,
    )
  }

  return {
    async open(id) {
      const known = entries.get(id)
      if (known !== undefined) {
        return visit(id, known)
      }
      const deployment = parseDeploymentId(id)
      if (deployment === undefined) {
        throw new DeployerError(
          'deployment-not-found',
          `Cannot find deployment ${JSON.stringify(id.slice(0, 100))}: that is no ID of one; ask at the Location that the deployment was answered with`,
        )
      }
      const { unwritten, startedAt } = deployment
      if (unwritten !== undefined) {
        const outcome = { verdict: unwritten, message: REASONS[unwritten], endedAt: startedAt }
        return { known: settled(deployment, outcome), close() {} }
      }
      // Between the last look at the entries and the new one nothing may be awaited.
      if (countUnderWay() >= MAX_UNDER_WAY) {
        const service = await tools.swarm
          .inspectService(deployment.serviceId)
          .catch(() => undefined)
        const isExempt = isNamedBy(service, { deployment }) && !isWriteWatched(deployment)
        if (!entries.has(id) && !isExempt) {
          throw tooMany()
        }
      }
      return visit(id, entries.get(id) ?? watch(id, deployment))
    },
  }
}

function tooMany(): DeployerError {
  return new DeployerError(
    'overloaded',
    `Cannot look at one more deployment by its ID: ${MAX_UNDER_WAY} are being looked at; ask again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}

/** What a record has of a deployment. IDs that differ in the rest repeat the same entry. */
function writeOf({ serviceId, versionIndex, startedAt }: Deployment): string {
  return `${serviceId}/${versionIndex}/${startedAt}`
}

function isUnderWay({ known }: Entry): boolean {
  return known.outcome() === undefined
}

/** Whether the service's own record has the deployment: then nobody made it up. */
function isNamedBy(
  service: Service | undefined,
  { deployment }: Pick<KnownDeployment, 'deployment'>,
): boolean {
  const record = service === undefined ? [] : readRecord(service.Spec)
  return record.some(
    ({ versionIndex, startedAt }) =>
      versionIndex === deployment.versionIndex && startedAt === deployment.startedAt,
  )
}
