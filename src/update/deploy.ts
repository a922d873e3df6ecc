// The story of a deployment: find the service, check that it may be updated, resolve the image, wait
// for the turn, write the next spec.

import { DeployerError, type ProblemCode } from '../errors.ts'
import type { NamedDeployment } from '../rollout/known-deployment.ts'
import type { OpenedDeployments } from '../rollout/opened-deployments.ts'
import { digestOf } from '../swarm/image-reference.ts'
import type { NodeList } from '../swarm/node-list.ts'
import { hasSuitableNode, noSuitableNode } from '../swarm/platforms.ts'
import type { Service } from '../swarm/service.ts'
import type { ServiceEvents } from '../swarm/service-events.ts'
import { currentImage } from '../swarm/service-spec.ts'
import { type AppliedUpdate, type ApplyUpdateTools, applyUpdate } from './apply-update.ts'
import type { DeployRequest } from './deploy-request.ts'
import { type Resolution, type ResolutionTools, resolveImage } from './image-resolution.ts'
import { deploymentByIdempotencyKey, newDeployment } from './new-deployment.ts'
import { updateCredentials } from './registry-credentials.ts'
import { checkExpected, findUpdatable, updatableImage } from './service-access.ts'
import type { ServiceQueues } from './service-queue.ts'
import type { SpecChange } from './spec-change.ts'

/** What deployments are made with. */
export interface DeployTools extends ResolutionTools, ApplyUpdateTools {
  readonly events: ServiceEvents
  readonly nodes: NodeList
  readonly openedDeployments: OpenedDeployments
  readonly queue: ServiceQueues<AppliedUpdate<NamedDeployment>>
  /** Numbers requests in the order in which they come in. */
  readonly nextOrder: () => number
}

/** An accepted deployment. */
export interface Accepted {
  readonly deployment: NamedDeployment
  /** What the caller should know. */
  readonly warnings: readonly string[]
}

/** What would be written. */
export interface Plan {
  readonly service: Service
  readonly change: SpecChange
  /** What the nodes are to pull the image with. Secret. */
  readonly registryAuth?: string | undefined
  /** What the caller should know. */
  readonly warnings: readonly string[]
}

// What the caller can mend; an engine or a registry that is away turns nobody away.
const REFUSALS: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'service-not-found',
  'updates-not-allowed',
  'unsupported-service',
  'image-mismatch',
  'image-not-found',
  'image-not-readable',
  'no-suitable-node',
])
// Nodes come and go; one that can run the image is looked for anew before a deployment is refused.
const NODES_MAX_AGE_MS = 60_000

/**
 * Updates a service to an image, and has it told.
 *
 * @param wish Which service, which image.
 * @param tools The swarm that has the service, and what is known of it.
 * @returns The deployment, once the engine has accepted it, or what it joined.
 * @throws DeployerError what {@link plan} throws, `idempotency-key-reused`,
 *   and what {@link applyUpdate} throws.
 */
export async function deploy(wish: DeployRequest, tools: DeployTools): Promise<Accepted> {
  try {
    return await accept(wish, tools)
  } catch (error) {
    if (error instanceof DeployerError && REFUSALS.has(error.code)) {
      const { service, image, origin } = wish
      const named = { service: service.slice(0, 100), image: image?.given ?? '' }
      const nowMs = tools.swarm.now()
      await tools.announcer.publishRefused({ ...named, reason: error.message, nowMs, origin })
    }
    throw error
  }
}

async function accept(wish: DeployRequest, tools: DeployTools): Promise<Accepted> {
  const order = tools.nextOrder()
  const service = await findUpdatable(wish, tools.swarm)
  tools.events.prepare()
  const marked = deploymentByIdempotencyKey(wish, service)
  if (marked !== undefined) {
    const watch = tools.deployments.inspect(marked)
    await watch.observed()
    const deployment = tools.deployments.register(watch)
    await tools.announcer.trackJoined(deployment, wish.origin)
    return { deployment, warnings: [] }
  }
  const { change, registryAuth, warnings } = await planFor(service, wish, tools)
  const turn = await tools.queue.enter(service.ID, {
    order,
    key: JSON.stringify([
      wish.image && change.image,
      change.force,
      wish.expect?.given,
      wish.resume,
    ]),
    write: async (hasWaited) => {
      const read = hasWaited ? undefined : service
      const written = await applyUpdate({ wish, change, registryAuth }, read, tools)
      const { id, deployment } = written.deployment
      return { deployment: { id, deployment }, warnings: written.warnings }
    },
  })
  if (turn.kind === 'written') {
    const { deployment, warnings: writeWarnings } = turn.value
    const isGuess =
      deployment.deployment.unwritten === 'unchanged' && digestOf(change.image) === null
    return {
      deployment,
      warnings: [...warnings, ...writeWarnings, ...(isGuess ? [notPinned(change.image)] : [])],
    }
  }
  const { id, deployment } = turn.by.deployment
  const unwritten = newDeployment(service, {
    ...{ wish, change, nowMs: tools.swarm.now() },
    unwritten: 'superseded',
  })
  const message = `A later request was written first: ${deployment.image}, deployment ${id}`
  const kept = tools.deployments.addUnwritten(unwritten, message)
  await tools.announcer.publishAccepted(kept, wish.origin)
  return { deployment: kept, warnings }
}

/**
 * Finds out what a deployment would write; nothing is changed.
 *
 * @param wish Which service, which image.
 * @param tools The swarm that has the service.
 * @returns The service and its change.
 * @throws DeployerError `service-not-found`, `updates-not-allowed`, `unsupported-service`,
 *   `image-mismatch`, `image-not-found`, `image-not-readable`, `registry-unavailable`,
 *   `no-suitable-node`, and whatever the {@link Swarm} throws.
 */
export async function plan(wish: DeployRequest, tools: DeployTools): Promise<Plan> {
  const planned = await planFor(await findUpdatable(wish, tools.swarm), wish, tools)
  const { service, change, registryAuth, warnings } = planned
  const from = currentImage(service.Spec) ?? ''
  const credentials = updateCredentials(
    { from, to: change.image, registryAuth },
    tools.foreignRegistry,
  )
  return { ...planned, warnings: [...warnings, ...credentials.warnings] }
}

async function planFor(service: Service, wish: DeployRequest, tools: DeployTools): Promise<Plan> {
  checkExpected(service, wish)
  const current = updatableImage(service)
  const { image, registryAuth, force, resume } = wish
  const resolution: Resolution =
    image === undefined
      ? { image: current, warnings: [] }
      : await resolveImage({ image, registryAuth }, current, tools)
  const { platforms } = resolution
  if (platforms !== undefined && platforms.length > 0) {
    await checkNodes(image?.given ?? current, platforms, tools.nodes)
  }
  const change = {
    image: resolution.image,
    ...(platforms === undefined ? {} : { platforms }),
    force,
    resume,
  }
  return { service, change, registryAuth: resolution.registryAuth, warnings: resolution.warnings }
}

async function checkNodes(
  image: string,
  platforms: NonNullable<SpecChange['platforms']>,
  nodes: NodeList,
): Promise<void> {
  if (!hasSuitableNode(platforms, await nodes.read(NODES_MAX_AGE_MS))) {
    const latest = await nodes.read(0)
    if (!hasSuitableNode(platforms, latest)) {
      throw noSuitableNode(image, platforms, latest)
    }
  }
}

function notPinned(image: string): string {
  return `${image} is not pinned to a digest: whether the registry has a newer one by now is not known; send {"force": true} with it to pull it anew`
}
