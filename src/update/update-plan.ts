// The plan of an update: the service, the resolved image and the change to the spec. Nothing is written.

import type { NodeList } from '../swarm/node-list.ts'
import { hasSuitableNode, noSuitableNode } from '../swarm/platforms.ts'
import type { Service } from '../swarm/service.ts'
import { currentImage } from '../swarm/service-spec.ts'
import type { DeployRequest } from './deploy-request.ts'
import { type Resolution, type ResolutionTools, resolveImage } from './image-resolution.ts'
import { type ForeignRegistry, updateCredentials } from './registry-credentials.ts'
import { checkExpected, findUpdatable, updatableImage } from './service-access.ts'
import type { SpecChange } from './spec-change.ts'

/** The plan of an update. */
export interface UpdatePlan {
  /** The service, as it was read for this plan. */
  readonly service: Service
  readonly change: SpecChange
  /** The credentials that nodes pull the image with. Secret. */
  readonly registryAuth?: string | undefined
  /** Warnings for the caller. */
  readonly warnings: readonly string[]
}

/** The dependencies of a plan. */
export interface PlanTools extends ResolutionTools {
  readonly nodes: NodeList
  /** How to treat stored credentials where the registry changes. */
  readonly foreignRegistry: ForeignRegistry
}

// New nodes may join: a list of this age is read again before a deployment is rejected.
const NODES_MAX_AGE_MS = 60_000

/**
 * Plans an update of a service.
 *
 * @param service The service.
 * @param request The request.
 * @param tools The swarm, its nodes, and the stored credentials.
 * @returns The plan.
 * @throws DeployerError `updates-not-allowed`, `unsupported-service`, `image-mismatch`,
 *   `image-not-found`, `image-not-readable`, `registry-unavailable`, `no-suitable-node`, and what the
 *   {@link Swarm} throws.
 */
export async function planUpdate(
  service: Service,
  request: DeployRequest,
  tools: PlanTools,
): Promise<UpdatePlan> {
  checkExpected(service, request)
  const current = updatableImage(service)
  const { image, force, resume } = request
  const { platforms = [], ...resolution } = await resolveRequested(request, current, tools)
  if (platforms.length > 0) {
    await checkNodes(image?.given ?? current, platforms, tools.nodes)
  }
  const change = {
    image: resolution.image,
    ...(platforms.length === 0 ? {} : { platforms }),
    force,
    resume,
  }
  return { service, change, registryAuth: resolution.registryAuth, warnings: resolution.warnings }
}

/**
 * Plans an update for a dry run.
 *
 * @param request The request.
 * @param tools The swarm, its nodes, and the stored credentials.
 * @returns The plan, also with the warnings that the write would have.
 * @throws DeployerError `service-not-found`, and what {@link planUpdate} throws.
 */
export async function planDryRun(request: DeployRequest, tools: PlanTools): Promise<UpdatePlan> {
  const service = await findUpdatable(request, tools.swarm)
  const plan = await planUpdate(service, request, tools)
  const from = currentImage(service.Spec) ?? ''
  const { change, registryAuth } = plan
  const credentials = updateCredentials(
    { from, to: change.image, registryAuth },
    tools.foreignRegistry,
  )
  return { ...plan, warnings: [...plan.warnings, ...credentials.warnings] }
}

/** A request without an image keeps the current one, which is not resolved again. */
async function resolveRequested(
  { image, registryAuth }: DeployRequest,
  current: string,
  tools: ResolutionTools,
): Promise<Resolution> {
  return image === undefined
    ? { image: current, warnings: [] }
    : resolveImage({ image, registryAuth }, current, tools)
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
