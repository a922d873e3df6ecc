// The events of deployments that are sent as notifications.

import type { Deployment } from '../deployment/deployment.ts'
import { errorLine, oneLine } from '../deployment/error-line.ts'
import { type EndVerdict, endVerdicts, type Outcome } from '../deployment/verdict.ts'
import { digestOf } from '../swarm/image-reference.ts'
import { sha256 } from '../text/sha256.ts'

/** The name of an event. */
export type DeploymentEventName =
  /** The engine took the update, or the service runs that image already. */
  | 'accepted'
  /** The verdict: how the deployment ended. */
  | EndVerdict
  /** A request with a valid token was rejected: by a label, a policy, or a missing image. */
  | 'refused'

/** The names of all events. */
export const deploymentEventNames: readonly DeploymentEventName[] = [
  'accepted',
  ...endVerdicts,
  'refused',
]

/** An event of a deployment, or of a rejected request. */
export interface DeploymentEvent {
  /** Unique, and the same for every delivery of the event: letters, digits, `_` and `-`. */
  readonly id: string
  readonly event: DeploymentEventName
  /** The name of the service; for a rejected request, as the caller wrote it. */
  readonly service: string
  /** The full ID of the service; empty for a rejected request. */
  readonly serviceId: string
  /** The image exactly as the caller sent it; empty if the caller sent none. */
  readonly image: string
  /** The digest that the image was pinned to, `sha256:…`; empty if there is none. */
  readonly digest: string
  /** The image in the spec before the update; empty for a rejected request. */
  readonly previous: string
  /** The ID of the deployment; empty for a rejected request. */
  readonly deploymentId: string
  /** The name of the credential that the caller presented. */
  readonly caller: string
  /** Why it did not succeed, in one line without log lines of the tasks; empty if it did. */
  readonly error: string
  /** When the update was sent, or the request rejected; RFC 3339. */
  readonly startedAt: string
  /** When the verdict was known; RFC 3339, empty before that. */
  readonly endedAt: string
  /** The metadata of the request. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The request that a deployment comes from. */
export interface Origin {
  /** 32 hexadecimal digits, random for each request. Part of the ID of `refused`. */
  readonly messageId: string
  /** The name of the credential that the caller presented. */
  readonly caller: string
  readonly metadata: Readonly<Record<string, string>>
}

/** A deployment, its ID, and the request that it comes from. */
export interface DeploymentOrigin {
  readonly deployment: Deployment
  readonly deploymentId: string
  /** Part of the IDs of all its events, as {@link messageIdOf} returns it. */
  readonly messageId: string
  readonly origin: Origin
}

/** A request that was rejected. */
export interface RejectedRequest {
  readonly service: string
  readonly image: string
  readonly reason: string
  /** The time of the engine, in milliseconds since 1970. */
  readonly nowMs: number
  readonly origin: Origin
}

/**
 * Creates the random part of the IDs of a request's events.
 *
 * @returns 32 hexadecimal digits.
 */
export function newMessageId(): string {
  return crypto.randomUUID().replaceAll('-', '')
}

/**
 * Computes the part that the IDs of all events of a deployment have in common. For a deployment that was
 * written it is the same from every process.
 *
 * @param deployment The deployment, its ID, and the request.
 * @returns 32 hexadecimal digits: of the SHA-256 of the deployment's ID; those of the request for a
 *   deployment that was not written.
 */
export function messageIdOf({
  deployment,
  deploymentId,
  origin,
}: Omit<DeploymentOrigin, 'messageId'>): string {
  return deployment.unwritten === undefined ? sha256(deploymentId).slice(0, 32) : origin.messageId
}

/**
 * Creates the event of a deployment that was accepted.
 *
 * @param accepted The deployment.
 * @returns The event.
 */
export function acceptedEvent(accepted: DeploymentOrigin): DeploymentEvent {
  return deploymentEvent(accepted, 'accepted', { error: '', endedAt: '' })
}

/**
 * Creates the event of a deployment that has ended.
 *
 * @param ended The deployment.
 * @param outcome How it ended.
 * @returns The event.
 */
export function endedEvent(ended: DeploymentOrigin, outcome: Outcome): DeploymentEvent {
  const { verdict, endedAt } = outcome
  return deploymentEvent(ended, verdict, { error: errorLine(outcome), endedAt })
}

/**
 * Creates the event of a request that was rejected.
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
    id: eventId(origin.messageId, 'refused'),
    event: 'refused',
    ...{ service: oneLine(service), image, error: oneLine(reason) },
    ...{ serviceId: '', digest: '', previous: '', deploymentId: '' },
    ...{ startedAt: at, endedAt: at },
    caller: origin.caller,
    metadata: origin.metadata,
  }
}

function deploymentEvent(
  { deployment, deploymentId, messageId, origin }: DeploymentOrigin,
  event: DeploymentEventName,
  end: Pick<DeploymentEvent, 'error' | 'endedAt'>,
): DeploymentEvent {
  const { service, serviceId, image, resolved, previous, startedAt } = deployment
  const digest = digestOf(resolved) ?? ''
  const { caller, metadata } = origin
  return {
    id: eventId(messageId, event),
    event,
    ...{ service, serviceId, image, digest, previous, deploymentId, startedAt },
    ...end,
    ...{ caller, metadata },
  }
}

/** Without a dot, because Standard Webhooks signs `id.timestamp.body`. */
function eventId(messageId: string, event: DeploymentEventName): string {
  return `msg_${messageId}_${event}`
}

/**
 * Checks whether a value that was read from JSON is an event.
 *
 * @param value Any JSON value.
 * @returns True when it has all members of an event.
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
 * Checks whether a value that was read from JSON is an {@link Origin}.
 *
 * @param value Any JSON value.
 * @returns True when it has all its members.
 */
export function isOrigin(value: unknown): value is Origin {
  const { messageId, caller, metadata } = (value ?? {}) as Partial<Origin>
  return isMessageId(messageId) && typeof caller === 'string' && isTexts(metadata)
}

/**
 * Checks whether a value that was read from JSON can be part of the IDs of events.
 *
 * @param value Any JSON value.
 * @returns True for 32 hexadecimal digits.
 */
export function isMessageId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)
}
