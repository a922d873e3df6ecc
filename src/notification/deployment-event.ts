// What happens to a deployment and people want to hear of, as data.

import type { Deployment } from '../deployment/deployment.ts'
import {
  type EndVerdict,
  endVerdicts,
  type Outcome,
  type TaskEvidence,
} from '../deployment/verdict.ts'
import { digestOf } from '../swarm/image-reference.ts'

/** What can be told of a deployment. */
export type DeploymentEventName =
  /** The engine took the update, or the service had that image already. */
  | 'accepted'
  /** How it ended. */
  | EndVerdict
  /** A caller with a valid token was turned away: label, policy, image not found. */
  | 'refused'

/** Every name that an event can have. */
export const deploymentEventNames: readonly DeploymentEventName[] = [
  'accepted',
  ...endVerdicts,
  'refused',
]

/** Something that happened and that people want to hear of. */
export interface DeploymentEvent {
  /**
   * The same however often the event is told, and no other event's: letters, digits, `_` and `-`.
   */
  readonly id: string
  readonly event: DeploymentEventName
  /** The service's name; of one that was refused, what the caller named. */
  readonly service: string
  /** The service's full ID; empty where it was not found, or not looked for. */
  readonly serviceId: string
  /** The image exactly as the caller sent it; empty where the caller sent none. */
  readonly image: string
  /** The digest that the image was pinned to, `sha256:…`; empty where there is none. */
  readonly digest: string
  /** The image that the spec named before; empty of one that was refused. */
  readonly previous: string
  /** The deployment's ID; empty of one that was refused. */
  readonly deploymentId: string
  /** Who asked for it: the name of what they showed. */
  readonly caller: string
  /** Why it did not end well, in one line, without any log lines of the tasks; empty where it did. */
  readonly error: string
  /** When it was written, or refused; RFC 3339. */
  readonly startedAt: string
  /** When its end was known; RFC 3339, empty where it has not ended. */
  readonly endedAt: string
  /** What the caller sent along. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Who asked for a deployment, and what they sent along. */
export interface Origin {
  /**
   * Begins the IDs of all its events; 32 hexadecimal digits, drawn anew for each request.
   */
  readonly messageId: string
  /** The name of what the caller showed. */
  readonly caller: string
  readonly metadata: Readonly<Record<string, string>>
}

/** A deployment, its ID, and who asked for it. */
export interface DeploymentOrigin {
  readonly deployment: Deployment
  readonly deploymentId: string
  readonly origin: Origin
}

/** A request that was turned away. */
export interface RejectedRequest {
  readonly service: string
  readonly image: string
  readonly reason: string
  /** By the engine's clock, in milliseconds since 1970. */
  readonly nowMs: number
  readonly origin: Origin
}

const MAX_ERROR_LENGTH = 1024

/**
 * Draws what the IDs of a request's events begin with.
 *
 * @returns 32 hexadecimal digits.
 */
export function newMessageId(): string {
  return crypto.randomUUID().replaceAll('-', '')
}

/**
 * The event of a deployment that was accepted.
 *
 * @param accepted The deployment.
 * @returns The event.
 */
export function acceptedEvent(accepted: DeploymentOrigin): DeploymentEvent {
  return deploymentEvent(accepted, 'accepted', { error: '', endedAt: '' })
}

/**
 * The event of a deployment that has ended.
 *
 * @param ended The deployment.
 * @param outcome Its end.
 * @returns The event.
 */
export function endedEvent(ended: DeploymentOrigin, outcome: Outcome): DeploymentEvent {
  const { verdict, endedAt } = outcome
  return deploymentEvent(ended, verdict, { error: errorLine(outcome), endedAt })
}

/**
 * The event of a request that was turned away.
 *
 * @param refusal The request.
 * @returns The event.
 */
export function refusedEvent({
  service,
  image,
  reason,
  nowMs,
  origin,
}: RejectedRequest): DeploymentEvent {
  const at = new Date(nowMs).toISOString()
  return {
    id: eventId(origin, 'refused'),
    event: 'refused',
    ...{ service: oneLine(service), image, error: oneLine(reason) },
    ...{ serviceId: '', digest: '', previous: '', deploymentId: '' },
    ...{ startedAt: at, endedAt: at },
    caller: origin.caller,
    metadata: origin.metadata,
  }
}

/**
 * Why a deployment did not end well, in one line: what the engine said, and of each failed task its
 * place, state, error and exit code. A task's log lines may hold anything, and are left out.
 *
 * @param outcome The end.
 * @returns At most 1024 characters; empty when it ended well.
 */
export function errorLine({ verdict, message = '', tasks = [] }: Outcome): string {
  if (verdict === 'converged' || verdict === 'unchanged') {
    return ''
  }
  return oneLine([message, ...tasks.map(taskLine)].filter(Boolean).join('; '))
}

function deploymentEvent(
  { deployment, deploymentId, origin }: DeploymentOrigin,
  event: DeploymentEventName,
  end: Pick<DeploymentEvent, 'error' | 'endedAt'>,
): DeploymentEvent {
  const { service, serviceId, image, resolved, previous, startedAt } = deployment
  const digest = digestOf(resolved) ?? ''
  const { caller, metadata } = origin
  return {
    id: eventId(origin, event),
    event,
    ...{ service, serviceId, image, digest, previous, deploymentId, startedAt },
    ...end,
    ...{ caller, metadata },
  }
}

/** Standard Webhooks signs `id.timestamp.body`, so an ID has no dot. */
function eventId({ messageId }: Origin, event: DeploymentEventName): string {
  return `msg_${messageId}_${event}`
}

function taskLine({ slot, node, state, error, exitCode }: TaskEvidence): string {
  const place = [
    slot === undefined ? 'a task' : `task ${slot}`,
    ...(node === '' ? [] : [`on ${node}`]),
  ]
  const why = error === '' ? '' : `: ${error}`
  const exit = exitCode === undefined ? '' : `, exit code ${exitCode}`
  return `${place.join(' ')} ${state}${why}${exit}`
}

function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  const start = line.slice(0, MAX_ERROR_LENGTH - 1).replace(/\p{Surrogate}$/u, '')
  return line.length > MAX_ERROR_LENGTH ? `${start}…` : line
}

/**
 * Whether a value that was kept as JSON is an event.
 *
 * @param value Any JSON value.
 * @returns True when it has all members of one.
 */
export function isDeploymentEvent(value: unknown): value is DeploymentEvent {
  const { event, metadata, ...texts } = (value ?? {}) as Partial<DeploymentEvent>
  return (
    deploymentEventNames.some((name) => name === event) &&
    isTexts(metadata) &&
    isTexts(texts) &&
    EVENT_TEXTS.every((member) => member in texts)
  )
}

const EVENT_TEXTS = [
  'id',
  'service',
  'serviceId',
  'image',
  'digest',
  'previous',
  'deploymentId',
  'caller',
  'error',
  'startedAt',
  'endedAt',
] as const satisfies readonly (keyof DeploymentEvent)[]

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  )
}

/**
 * Whether a value that was kept as JSON tells who asked for a deployment.
 *
 * @param value Any JSON value.
 * @returns True when it has all members of an {@link Origin}.
 */
export function isOrigin(value: unknown): value is Origin {
  const { messageId, caller, metadata } = (value ?? {}) as Partial<Origin>
  return (
    typeof messageId === 'string' &&
    /^[0-9a-f]{32}$/.test(messageId) &&
    typeof caller === 'string' &&
    isTexts(metadata)
  )
}
