// The deployments that an update of a service replaces. An update that succeeds over a version proves that
// the service as it was read at that version was their last state: they are judged on that very state.

import { type Deployment, deploymentId } from '../deployment/deployment.ts'
import { type RecordEntry, writerOf } from '../deployment/deployment-record.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import { DeployerError } from '../errors.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import type { HistoryEntry } from '../history/history-entry.ts'
import { deploymentOfEntry, endedEntryOf } from '../history/noted-deployment.ts'
import type { Node, Task } from '../swarm/engine-types.ts'
import type { NodeList } from '../swarm/node-list.ts'
import type { Service } from '../swarm/service.ts'
import { isRollback } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import type { Deployments } from './deployments.ts'
import type { End } from './judgement.ts'
import type { WatchedDeployment } from './known-deployment.ts'
import { judgePredecessor } from './predecessor-judgement.ts'
import type { VerdictHolds } from './verdict-holds.ts'

/** The deployments that an update replaces, judged before it is sent. */
export interface Predecessors {
  /** How they end if the update succeeds, for the record of the next spec. */
  readonly endings: readonly RecordEntry[]
  /** The update succeeded: they end as judged. */
  end(): void
  /** The update was not applied: the judgement is discarded, and they continue. */
  release(): void
}

/** What judging predecessors needs. */
export interface PredecessorTools {
  readonly swarm: Swarm
  readonly nodes: NodeList
  readonly deployments: Deployments
  readonly holds: VerdictHolds
  readonly history: DeploymentHistory
  /** How long a rollout may take, in milliseconds. */
  readonly rolloutTimeoutMs: number
}

/** What shows the last state of the deployments of a service, besides the service itself. */
export interface LastReadings {
  /** Undefined: they cannot be read. */
  readonly tasks: readonly Task[] | undefined
  /** Undefined: they cannot be read. */
  readonly nodes: readonly Node[] | undefined
  readonly entries: readonly HistoryEntry[]
}

/** Options of {@link judgePredecessors}. */
export interface PredecessorOptions {
  /** The image that replaces them, as the caller sent it. */
  readonly replacedBy: string
  /** What was read immediately before the service. Default: it is read now, where it is needed. */
  readonly lastReadings?: LastReadings | undefined
}

const NODES_MAX_AGE_MS = 2000
const UNREADABLE: End = {
  kind: 'end',
  verdict: 'unknown',
  message: 'A later deployment was written, and the tasks of this one could not be read before',
}

/**
 * Judges the deployments that an update replaces. Where their verdicts are known, nothing is read. The
 * verdicts of the service are held back until the update has succeeded or not.
 *
 * @param current The service as it was read; the update is written over this version.
 * @param options The image that replaces them, and what is read already.
 * @param tools The swarm, the known deployments, and the history.
 * @returns Their endings; `unknown` where the tasks or nodes cannot be read. Exactly one of the methods has
 *   to be called.
 */
export async function judgePredecessors(
  current: Service,
  { replacedBy, lastReadings }: PredecessorOptions,
  tools: PredecessorTools,
): Promise<Predecessors> {
  const { deployments, holds, history, swarm, rolloutTimeoutMs: timeoutMs } = tools
  const release = holds.hold(current.ID)
  try {
    const isUnknown = hasUnknownPredecessor(current, deployments)
    if (!isUnknown && inProgress(current.ID, deployments).length === 0) {
      return { endings: [], end: release, release }
    }
    const { tasks, nodes, entries } =
      lastReadings ?? (await readLast(current.ID, { ...tools, withHistory: isUnknown }))
    const nowMs = swarm.now()
    function judge(deployment: Deployment, hasGap: boolean): End {
      if (tasks === undefined || nodes === undefined) {
        return UNREADABLE
      }
      const state = { service: current, tasks, nodes, replacedBy }
      return judgePredecessor(deployment, state, { nowMs, timeoutMs, hasGap })
    }
    const noted = notedDeployments(current, entries, nowMs).map((deployment) => ({
      ...{ id: deploymentId(deployment), deployment },
      end: judge(deployment, true),
    }))
    const watched = inProgress(current.ID, deployments).map(({ id, deployment, watch }) => ({
      ...{ id, deployment },
      end: judge(deployment, watch.hasGap()),
    }))
    return {
      endings: [...entries.flatMap(endingOf), ...[...noted, ...watched].flatMap(endingOfJudged)],
      release,

      end() {
        for (const { id, deployment, watch } of inProgress(current.ID, deployments)) {
          // A watch may have been added since.
          const known = watched.find((one) => one.id === id) ?? noted.find((one) => one.id === id)
          watch.end(known?.end ?? judge(deployment, watch.hasGap()))
        }
        for (const { deployment, end } of noted) {
          noteEnd(deployment, end, { history, nowMs })
        }
        release()
      },
    }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * Reads what shows the last state of the deployments of a service.
 *
 * @param serviceId The service's full ID.
 * @param tools What is read, and whether the history is needed.
 * @returns The readings.
 */
export async function readLast(
  serviceId: string,
  {
    swarm,
    nodes: nodeList,
    history,
    withHistory,
  }: Pick<PredecessorTools, 'swarm' | 'nodes' | 'history'> & { readonly withHistory: boolean },
): Promise<LastReadings> {
  const [tasks, nodes, entries] = await Promise.all([
    readable(swarm.listTasks(serviceId)),
    readable(nodeList.read(NODES_MAX_AGE_MS)),
    withHistory ? history.read(serviceId) : [],
  ])
  return { tasks, nodes, entries }
}

/** An engine that does not show its tasks or nodes is no reason to refuse an update. */
async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof DeployerError) {
      return undefined
    }
    throw error
  }
}

/** The deployments in progress in this process, and observations. A fixed verdict is final. */
function inProgress(serviceId: string, deployments: Deployments): readonly WatchedDeployment[] {
  return deployments.inProgress(serviceId).filter(({ watch }) => watch.verdict() === undefined)
}

/**
 * Whether another process, or an earlier one, wrote the deployment that made the current state of a service.
 * After a rollback that is a later deployment than the one whose record the service has.
 *
 * @param service The service.
 * @param deployments The deployments of this process.
 * @returns True where its verdict has to be found before it is replaced.
 */
export function hasUnknownPredecessor(service: Service, deployments: Deployments): boolean {
  const { ID, Spec } = service
  const writer = writerOf(Spec)
  if (isRollback(service)) {
    return !deployments.hasLater(ID, writer?.versionIndex ?? -1)
  }
  return writer !== undefined && !deployments.hasWrite(ID, writer)
}

/** The deployments without a verdict that another process wrote, or an earlier one. */
function notedDeployments(
  current: Service,
  entries: readonly HistoryEntry[],
  nowMs: number,
): readonly Deployment[] {
  const named = { serviceId: current.ID, service: current.Spec.Name }
  const writer = writerOf(current.Spec)
  const later = entries.filter(
    ({ kind, verdict, versionIndex }) =>
      kind !== 'outside' && verdict === undefined && versionIndex > (writer?.versionIndex ?? -1),
  )
  const isEnded = entries.some(
    ({ versionIndex, verdict }) => versionIndex === writer?.versionIndex && verdict !== undefined,
  )
  // A later deployment was rolled back: the one that wrote this spec ended when that one was written.
  const isKnown = writer === undefined || isEnded || isRollback(current)
  const own = isKnown ? [] : [deploymentOf(current, nowMs)]
  return [...own, ...later.map((entry) => deploymentOfEntry(named, entry))]
}

function noteEnd(
  deployment: Deployment,
  { verdict, message, failed }: End,
  { history, nowMs }: { readonly history: DeploymentHistory; readonly nowMs: number },
): void {
  if (verdict !== 'unknown') {
    const { service, serviceId } = deployment
    const endedAt = new Date(nowMs).toISOString()
    const more = { ...(message && { message }), ...(failed && { tasks: failed }) }
    const entry = endedEntryOf(deployment, { verdict, endedAt, ...more })
    history.note({ service, serviceId }, entry)
  }
}

function endingOfJudged({
  deployment,
  end: { verdict },
}: {
  readonly deployment: Deployment
  readonly end: End
}): readonly RecordEntry[] {
  return deployment.unwritten === undefined ? endingOf({ ...deployment, verdict }) : []
}

/** `unknown` is not noted: another process may know more. */
function endingOf({ versionIndex, startedAt, verdict }: RecordEntry): readonly RecordEntry[] {
  return verdict === undefined || verdict === 'unknown'
    ? []
    : [{ versionIndex, startedAt, verdict }]
}
