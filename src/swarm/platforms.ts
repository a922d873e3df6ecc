// Whether a node can run an image, by Swarm's rule.

import { DeployerError } from '../errors.ts'
import type { Node, Platform } from './engine-types.ts'

// The names of `uname -m`, with Go's names for them (swarmkit, manager/scheduler/filter.go).
const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' }

const MAX_SHOWN = 10
const MAX_NAME_LENGTH = 100
// The images of Docker Hub have about ten. A spec with thousands would be sent to every node.
const MAX_PLATFORMS = 100

/**
 * Checks that the platforms of an image can be written into a spec.
 *
 * @param image The image.
 * @param platforms Its platforms, each once.
 * @throws DeployerError `image-not-readable` for more than 100, or a name of more than 100 characters.
 */
export function checkPlatforms(image: string, platforms: readonly Platform[]): void {
  const isNameTooLong = platforms.some(({ OS = '', Architecture = '' }) =>
    [OS, Architecture].some((name) => name.length > MAX_NAME_LENGTH),
  )
  if (platforms.length > MAX_PLATFORMS || isNameTooLong) {
    throw new DeployerError(
      'image-not-readable',
      `Cannot deploy ${JSON.stringify(image)}: its registry lists ${platforms.length} platforms for it; at most ${MAX_PLATFORMS} are allowed, with names of at most ${MAX_NAME_LENGTH} characters`,
    )
  }
}

/**
 * Whether any node can run an image. Nodes that are down or drained count, since they may become available
 * again.
 *
 * @param platforms The image's platforms; empty: every node can run it.
 * @param nodes The swarm's nodes.
 * @returns True when there is such a node, or when no node reports its platform.
 */
export function hasSuitableNode(platforms: readonly Platform[], nodes: readonly Node[]): boolean {
  const known = nodes.flatMap(({ Description }) => Description?.Platform ?? [])
  return (
    platforms.length === 0 ||
    known.length === 0 ||
    known.some((node) => platforms.some((platform) => isSatisfied(platform, node)))
  )
}

/**
 * Creates the error for an image that no node can run.
 *
 * @param image The image.
 * @param platforms Its platforms.
 * @param nodes The swarm's nodes.
 * @returns A DeployerError `no-suitable-node`.
 */
export function noSuitableNode(
  image: string,
  platforms: readonly Platform[],
  nodes: readonly Node[],
): DeployerError {
  const offered = list(nodes.flatMap(({ Description }) => Description?.Platform ?? []))
  return new DeployerError(
    'no-suitable-node',
    `Cannot deploy ${JSON.stringify(image)}: it is for ${list(platforms)}, and the nodes of the swarm are ${offered}; build it for one of these`,
  )
}

/** A member that the platform does not have matches every node. */
function isSatisfied(platform: Platform, node: Platform): boolean {
  const { Architecture = '', OS = '' } = platform
  return (
    (OS === '' || OS === node.OS) &&
    (Architecture === '' || normal(Architecture) === normal(node.Architecture ?? ''))
  )
}

function normal(architecture: string): string {
  return ARCHITECTURES[architecture] ?? architecture
}

/** Lists at most ten platforms, since a registry may have any number. */
function list(platforms: readonly Platform[]): string {
  const names = new Set(
    platforms.map(({ OS = '', Architecture = '' }) => `${OS}/${normal(Architecture)}`),
  )
  const shown = [...names].slice(0, MAX_SHOWN).map((name) => name.slice(0, MAX_NAME_LENGTH))
  const more = names.size - shown.length
  return shown.join(', ') + (more === 0 ? '' : ` and ${more} more`)
}
