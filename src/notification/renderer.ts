// The renderer port: a compiled message template, and the data that it renders.

import type { DeploymentEventName } from './deployment-event.ts'

/** The data of a message template, under the names of its variables. */
export interface MessageData {
  /** The image exactly as the caller sent it. */
  readonly Artifact: string
  /** The name of the credential that the caller presented. */
  readonly Caller: string
  readonly DeploymentID: string
  /** `sha256:…`, or empty. */
  readonly Digest: string
  /** The duration as Go prints a time.Duration: `1m12.4s`; empty before the verdict. */
  readonly Duration: string
  /** RFC 3339; empty before the verdict. */
  readonly EndedAt: string
  /** Why it did not succeed, in one line; empty if it did. */
  readonly Error: string
  /** For example `accepted`, `converged` or `rolled-back`. */
  readonly Event: DeploymentEventName
  /** The same for every delivery of the message. */
  readonly MessageID: string
  /** The metadata of the request: `{{.Meta.commit}}`. */
  readonly Meta: Readonly<Record<string, string>>
  /** The image of the service before the update. */
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
   * Renders a message.
   *
   * @param data The values of the template's variables.
   * @returns The message.
   */
  render(data: MessageData): string
}
