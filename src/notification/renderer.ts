// The renderer port: a compiled message template, and the data that it renders.

import type { DeploymentEventName } from './deployment-event.ts'

/** What a message template can name, under the names that templates use. */
export interface MessageData {
  /** The image exactly as the caller sent it. */
  readonly Artifact: string
  /** Who asked for it. */
  readonly Caller: string
  readonly DeploymentID: string
  /** `sha256:…`, or empty. */
  readonly Digest: string
  /** How long it took, as Go prints a time.Duration: `1m12.4s`; empty until the end. */
  readonly Duration: string
  /** RFC 3339; empty until the end. */
  readonly EndedAt: string
  /** Why it did not end well, in one line; empty where it did. */
  readonly Error: string
  /** `accepted`, `converged`, `rolled-back` and so on. */
  readonly Event: DeploymentEventName
  /** The same however often the message comes. */
  readonly MessageID: string
  /** What the caller sent along: `{{.Meta.commit}}`. */
  readonly Meta: Readonly<Record<string, string>>
  /** The image that the service had before. */
  readonly Previous: string
  readonly ServiceID: string
  /** The service's name. */
  readonly ServiceName: string
  /** RFC 3339. */
  readonly StartedAt: string
}

/** A compiled message template. */
export interface Renderer {
  /**
   * @param data The values of the template's variables.
   * @returns The message.
   */
  render(data: MessageData): string
}
