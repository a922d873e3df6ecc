// Whether a node can run an image, by Swarm's own rule.

import { DeployerError } from './problem.ts'
import type { Node, Platform } from './swarm-types.ts'

// Go's names of processors for those of `uname -m` (swarmkit, manager/scheduler/filter.go).
const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' }

/**
 * Finds out whether any node satisfies an image's platforms. Nodes that are down or drained count:
 * the swarm may get them back.
 *
 * @param platforms The image's platforms; none: every node will do.
 * @param nodes The swarm's nodes.
 * @returns True when there is one, or when no node tells what it is.
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
 * The error of an image that no node can run.
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

/** What a platform leaves open, every node satisfies. */
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

function list(platforms: readonly Platform[]): string {
  const names = platforms.map(({ OS = '', Architecture = '' }) => `${OS}/${normal(Architecture)}`)
  return [...new Set(names)].join(', ')
}
