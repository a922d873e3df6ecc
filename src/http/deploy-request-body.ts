// The JSON body of a request for a deployment.

import type { Context } from 'hono'
import { type ImageReference, parseImageReference } from '../swarm/image-reference.ts'
import type { DeployRequest } from '../update/deploy-request.ts'
import { bodyText, malformedBody } from './body.ts'
import { checkNames, isBodyImage } from './known-names.ts'
import { memberNames } from './member-names.ts'
import { readMetadata } from './metadata.ts'

/** The members of the body, validated. */
export type DeployRequestBody = Pick<DeployRequest, 'image' | 'expect' | 'force' | 'resume'> & {
  /** Strings for the messages about the deployment. */
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Reads the body of a request for a deployment. A member that is null counts as absent. The content type
 * is ignored: curl's `-d` sends `application/x-www-form-urlencoded`.
 *
 * @param c The request's context.
 * @returns The members of the body.
 * @throws DeployerError `malformed-request`, `invalid-image-reference`, `body-too-large`.
 */
export async function readDeployRequestBody(c: Context): Promise<DeployRequestBody> {
  const text = await bodyText(c)
  const body = parseObject(text)
  checkNames('body', memberNames(text))
  const image = givenMember(body, Object.keys(body).find(isBodyImage))
  const expect = givenMember(body, 'expect')
  const force = readBoolean(body, 'force')
  const resume = readBoolean(body, 'resume')
  const metadata = givenMember(body, 'metadata')
  if (image === undefined && !force) {
    throw malformedBody('it is not a JSON object with the member "image"')
  }
  return {
    image: readReference('image', image),
    expect: readReference('expect', expect),
    force,
    resume,
    metadata: readMetadata(metadata),
  }
}

/** A member that is null counts as absent. */
function givenMember(body: Readonly<Record<string, unknown>>, name: string | undefined): unknown {
  return name === undefined || !Object.hasOwn(body, name) ? undefined : (body[name] ?? undefined)
}

function readBoolean(body: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = givenMember(body, name) ?? false
  if (typeof value !== 'boolean') {
    throw malformedBody(`"${name}" is neither true nor false`)
  }
  return value
}

function readReference(member: string, value: unknown): ImageReference | undefined {
  if (value === undefined) {
    return undefined
  }
  if (typeof value !== 'string') {
    throw malformedBody(`"${member}" is not a string`)
  }
  return parseImageReference(value)
}

function parseObject(text: string): Record<string, unknown> {
  const body = parseJson(text)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw malformedBody('it is not a JSON object with the member "image"')
  }
  return { ...body }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformedBody('it is not JSON', cause)
  }
}
