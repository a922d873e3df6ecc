// Where the tasks of a service are placed: its slots, or the nodes that are suitable for it.

import type { Node, Platform, TaskSpec, WatchedSpec } from '../../src/swarm/engine-types.ts'

/** A slot, counted from 1 (in a replicated job from 0); in a global service, the ID of a node. */
export type Place = number | string

/** Properties of a fake node. */
export interface FakeNodeOptions {
  /** Default: `x86_64` and `linux`, as the engine spells them. */
  readonly platform?: Platform
  /** Default: `active`. */
  readonly availability?: string
  /** Default: `ready`. */
  readonly state?: string
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' }

/**
 * Creates a node.
 *
 * @param hostname Host name, from which the ID is derived.
 * @param options Other properties.
 * @returns The node.
 */
export function fakeNode(hostname: string, options: FakeNodeOptions = {}): Node {
  const { platform = { Architecture: 'x86_64', OS: 'linux' } } = options
  return {
    ID: idOf(hostname),
    Description: { Hostname: hostname, Platform: platform },
    Spec: { Availability: options.availability ?? 'active' },
    Status: { State: options.state ?? 'ready' },
  }
}

/** An ID with the format of the engine, 25 characters long. */
export function idOf(name: string): string {
  return `${name.replace(/[^a-z0-9]/g, '')}0000000000000000000000000`.slice(0, 25)
}

/** All places of a service. */
export function placesOf(
  { Mode = {}, TaskTemplate }: WatchedSpec,
  nodes: readonly Node[],
): Place[] {
  if (Mode.Global || Mode.GlobalJob) {
    return suitableNodes(TaskTemplate, nodes).map(({ ID }) => ID)
  }
  const { Replicated, ReplicatedJob } = Mode
  const first = ReplicatedJob ? 0 : 1
  const count = ReplicatedJob
    ? (ReplicatedJob.TotalCompletions ?? ReplicatedJob.MaxConcurrent ?? 1)
    : (Replicated?.Replicas ?? 1)
  return Array.from({ length: count }, (_, index) => index + first)
}

/** Whether a service is a job, whose tasks are expected to complete. */
export function isJob({ Mode = {} }: WatchedSpec): boolean {
  return Boolean(Mode.ReplicatedJob ?? Mode.GlobalJob)
}

/** The nodes that accept new tasks of a spec. */
export function suitableNodes(spec: TaskSpec, nodes: readonly Node[]): readonly Node[] {
  return nodes.filter((node) => isAvailable(node) && hasPlatform(spec, node))
}

/** The engine's message for a task that no node accepts. */
export function noSuitableNode(spec: TaskSpec, nodes: readonly Node[]): string {
  const reasons = [
    [nodes.filter((node) => !isAvailable(node)).length, ' not available for new tasks'],
    [nodes.filter((node) => isAvailable(node) && !hasPlatform(spec, node)).length, ''],
  ] as const
  const messages = reasons
    .filter(([count]) => count > 0)
    .map(([count, reason]) => {
      const counted = `${count} ${count === 1 ? 'node' : 'nodes'}`
      return reason === '' ? `unsupported platform on ${counted}` : counted + reason
    })
  return messages.length === 0 ? 'no suitable node' : `no suitable node (${messages.join('; ')})`
}

function isAvailable({ Spec, Status }: Node): boolean {
  return Spec?.Availability === 'active' && Status?.State === 'ready'
}

function hasPlatform({ Placement }: TaskSpec, { Description }: Node): boolean {
  const wanted = Placement?.Platforms ?? []
  const own = Description?.Platform ?? {}
  const isOwn = ({ Architecture, OS }: Platform): boolean =>
    (!OS || OS === own.OS) && (!Architecture || goName(Architecture) === goName(own.Architecture))
  return wanted.length === 0 || wanted.some(isOwn)
}

function goName(architecture = ''): string {
  return ARCHITECTURES[architecture] ?? architecture
}
