// Finds a deployment by its ID in what the swarm keeps: the record on the service, and its history.

import {
  type Deployment,
  type DeploymentKey,
  deploymentId,
  type FinalDeployment,
} from '../deployment/deployment.ts'
import { readRecord, writerOf } from '../deployment/deployment-record.ts'
import { deploymentOf } from '../deployment/service-deployment.ts'
import type { Outcome } from '../deployment/verdict.ts'
import { DeployerError } from '../errors.ts'
import type { HistoryEntry } from '../history/history-entry.ts'
import type { HistoryRecorder } from '../history/history-recorder.ts'
import { deploymentOfEntry, outcomeOfEntry } from '../history/noted-deployment.ts'
import { withoutDigest } from '../swarm/image-reference.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { Swarm } from '../swarm/swarm.ts'
import { type NotedOutcomeTools, withNotedEvidence } from './noted-outcome.ts'

/** A deployment that was found. */
export interface FoundDeployment {
  readonly deployment: Deployment
  /** How it ended; undefined where its service has to be read for that. */
  readonly outcome?: Outcome | undefined
}

/** What a lookup reads. */
export interface LookupTools extends NotedOutcomeTools {
  readonly history: Pick<HistoryRecorder, 'isOn' | 'read' | 'findById'>
}

// A deployment is in the history of its service within this time, and an engine rollback can take it from
// the record before.
const NOTED_WITHIN_MS = 20_000
// Together 15.5 s: an ID that was made up costs few calls.
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8000
// An update that started so long after an observation is a later one.
const OBSERVATION_SLACK_MS = 2000
const NO_IMAGES = { image: '', resolved: '', previous: '', forceUpdate: '0' } as const

/**
 * Describes a deployment whose ID contains its verdict. Only the process that created it knows more.
 *
 * @param key The parts of its ID.
 * @returns The deployment, without images; its service has the name of its ID.
 */
export function finalDeploymentOf(
  key: DeploymentKey & Pick<FinalDeployment, 'unwritten'>,
): FinalDeployment {
  return { ...key, service: key.serviceId, ...NO_IMAGES }
}

/**
 * Finds a deployment.
 *
 * @param key The parts of its ID.
 * @param tools The swarm, and the histories.
 * @returns The deployment.
 * @throws DeployerError `verdict-unknown` when the service is gone, or all that is kept is newer;
 *   `deployment-not-found` when there is no such deployment; what `inspectService` of the {@link Swarm}
 *   throws.
 */
export async function findDeployment(
  key: DeploymentKey,
  tools: LookupTools,
): Promise<FoundDeployment> {
  const { swarm, history } = tools
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    const [service, entries] = await Promise.all([
      readService(key.serviceId, swarm),
      history.read(key.serviceId),
    ])
    const found = findIn(key, service, entries)
    if (found !== undefined) {
      return service === undefined ? withName(found, history) : withEvidence(found, service, tools)
    }
    // An observation is in no history.
    if (
      service === undefined ||
      key.unwritten === 'observed' ||
      isForgotten(key, service, entries)
    ) {
      throw forgotten(key)
    }
    const ageMs = swarm.now() - Date.parse(key.startedAt)
    const mayBeNotedLater = Math.abs(ageMs) <= NOTED_WITHIN_MS && pauseMs <= LONGEST_PAUSE_MS
    if (!history.isOn() || !mayBeNotedLater) {
      throw notFound(deploymentId(key))
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/**
 * The error for an ID that names no deployment.
 *
 * @param id The ID, from a caller.
 * @returns A DeployerError `deployment-not-found`.
 */
export function notFound(id: string): DeployerError {
  return new DeployerError(
    'deployment-not-found',
    `Cannot find deployment ${JSON.stringify(id.slice(0, 100))}: use the Location of the response that created the deployment`,
  )
}

async function withEvidence(
  { deployment, outcome }: FoundDeployment,
  service: Service,
  tools: LookupTools,
): Promise<FoundDeployment> {
  return outcome === undefined
    ? { deployment }
    : { deployment, outcome: await withNotedEvidence(deployment, outcome, { service, tools }) }
}

/** Only the history knows the name of a service that was removed. */
async function withName(
  { deployment, ...found }: FoundDeployment,
  history: LookupTools['history'],
): Promise<FoundDeployment> {
  const { service = deployment.service } =
    (await history.findById(deployment.serviceId).catch(() => undefined)) ?? {}
  return { ...found, deployment: { ...deployment, service } }
}

async function readService(serviceId: string, swarm: Swarm): Promise<Service | undefined> {
  try {
    const service = await swarm.inspectService(serviceId)
    return service.ID === serviceId ? service : undefined
  } catch (error) {
    if (error instanceof DeployerError && error.code === 'service-not-found') {
      return undefined
    }
    throw error
  }
}

function findIn(
  key: DeploymentKey,
  service: Service | undefined,
  entries: readonly HistoryEntry[],
): FoundDeployment | undefined {
  if (key.unwritten === 'observed') {
    return service && observationOf(key, service)
  }
  const { serviceId } = key
  const entry = entries.find((one) => isEntryOf(key, one))
  const recorded = service && recordedDeployment(key, service)
  if (entry === undefined) {
    return recorded && { deployment: recorded }
  }
  const name = service?.Spec.Name ?? serviceId
  const noted = deploymentOfEntry({ serviceId, service: name }, entry)
  const deployment = noted.resolved === '' ? (recorded ?? noted) : noted
  return { deployment, outcome: outcomeOfEntry(entry) }
}

/** The record has no images: those of the spec that the deployment wrote count, where it is still there. */
function recordedDeployment(key: DeploymentKey, service: Service): Deployment | undefined {
  const { Spec, PreviousSpec } = service
  const written = [Spec, ...(PreviousSpec ? [PreviousSpec] : [])].find((spec) => {
    const writer = writerOf(spec)
    return writer !== undefined && isEntryOf(key, writer)
  })
  if (written !== undefined) {
    const deployment = deploymentOf({ ...service, Spec: written }, 0)
    const image = withoutDigest(deployment.resolved)
    return { ...deployment, image, ...previousOf(written, service) }
  }
  const isRecorded = readRecord(Spec).some((entry) => isEntryOf(key, entry))
  return isRecorded ? { ...key, service: Spec.Name, ...NO_IMAGES } : undefined
}

function previousOf(
  written: ServiceSpec,
  { Spec, PreviousSpec }: Service,
): Pick<Deployment, 'previous'> {
  const previous = written === Spec && PreviousSpec ? currentImage(PreviousSpec) : undefined
  return { previous: previous ?? '' }
}

/** The state of the service is observed from the start of the observation on. */
function observationOf(key: DeploymentKey, service: Service): FoundDeployment | undefined {
  const startedMs = Date.parse(service.UpdateStatus?.StartedAt ?? '')
  const isReplaced = startedMs > Date.parse(key.startedAt) + OBSERVATION_SLACK_MS
  return isReplaced || service.Version.Index <= key.versionIndex
    ? undefined
    : { deployment: { ...deploymentOf(service, 0), ...key } }
}

/** Whether all that is kept of the service is newer than a deployment. */
function isForgotten(
  { versionIndex }: DeploymentKey,
  { Spec }: Service,
  entries: readonly HistoryEntry[],
): boolean {
  const kept = [...entries, ...readRecord(Spec)]
  return kept.length > 0 && kept.every((entry) => entry.versionIndex > versionIndex)
}

function isEntryOf(
  { versionIndex, startedAt }: DeploymentKey,
  entry: Pick<HistoryEntry, 'versionIndex' | 'startedAt'>,
): boolean {
  return entry.versionIndex === versionIndex && entry.startedAt === startedAt
}

function forgotten(key: DeploymentKey): DeployerError {
  return new DeployerError(
    'verdict-unknown',
    `Cannot tell how deployment ${deploymentId(key)} ended: its service was removed, or only later deployments of it are kept`,
  )
}
