// What a request asks for: the body of a deployment, its query and its headers.

import type { Context } from 'hono'
import { DeployerError } from '../errors.ts'
import { type ImageReference, parseImageReference } from '../swarm/image-reference.ts'
import { parseDuration } from '../text/duration.ts'
import type { DeployRequest } from '../update/deploy-request.ts'
import { bodyText, malformedBody } from './body.ts'
import { checkNames, isBodyImage } from './known-names.ts'
import { memberNames } from './member-names.ts'
import { readMetadata } from './metadata.ts'

/** The body of a deployment, checked. */
export type DeployRequestBody = Pick<DeployRequest, 'image' | 'expect' | 'force' | 'resume'> & {
  /** What the caller sent along. */
  readonly metadata: Readonly<Record<string, string>>
}

const MAX_WAIT_MS = 60 * 60 * 1000
const MAX_KEY_LENGTH = 255
// The members of an AuthConfig that an engine reads (moby, api/types/registry).
const AUTH_MEMBERS = ['username', 'password', 'identitytoken', 'registrytoken']
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/

/**
 * Reads the body of a deployment. A member that is null counts as absent. The content type is not looked at: curl's `-d` says
 * `application/x-www-form-urlencoded`.
 *
 * @param c The request's context.
 * @returns What the caller wants.
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
    throw malformedBody('it is no JSON object with the member "image"')
  }
  return {
    image: readReference('image', image),
    expect: readReference('expect', expect),
    force,
    resume,
    metadata: readMetadata(metadata),
  }
}

/**
 * Checks the names of the query's parameters. One that is spelled a little differently would
 * otherwise be ignored, and `?dryrun=true` would deploy.
 *
 * @param c The request's context.
 * @throws DeployerError `malformed-request` for a known name in another spelling, one that belongs in
 *   the body, or a known name that comes more than once.
 */
export function checkQueryNames(c: Context): void {
  const { url } = c.req
  const start = url.indexOf('?')
  if (start !== -1) {
    checkNames('query', [...new URLSearchParams(url.slice(start)).keys()])
  }
}

/**
 * How long the caller wants to wait for the verdict.
 *
 * @param c The request's context.
 * @returns Milliseconds; undefined when the caller does not wait.
 * @throws DeployerError `malformed-request` when `wait` is no duration, or longer than an hour.
 */
export function readWait(c: Context): number | undefined {
  const text = c.req.query('wait')
  const milliseconds = text === undefined ? undefined : parseDuration(text)
  if (text !== undefined && (milliseconds === undefined || milliseconds > MAX_WAIT_MS)) {
    throw new DeployerError(
      'malformed-request',
      `Cannot wait ${JSON.stringify(text.slice(0, 100))}: "wait" must be seconds, such as 50 or 50s, or minutes, such as 5m, and at most 1h`,
    )
  }
  return milliseconds
}

/**
 * Whether the caller only wants to know what would happen.
 *
 * @param c The request's context.
 * @returns True for `?dryRun=true`.
 * @throws DeployerError `malformed-request` for anything but `true` and `false`.
 */
export function readDryRun(c: Context): boolean {
  const text = c.req.query('dryRun') ?? 'false'
  if (text !== 'true' && text !== 'false') {
    throw new DeployerError(
      'malformed-request',
      `Cannot read dryRun ${JSON.stringify(text.slice(0, 100))}: it must be true or false`,
    )
  }
  return text === 'true'
}

/**
 * The credentials that the caller sends for the image's registry. The engine passes over what it
 * cannot read, and would then pull with none, so it is refused here.
 *
 * @param c The request's context.
 * @returns The header as it came. Secret.
 * @throws DeployerError `malformed-request` when it is no base64url of a JSON object, or when the object
 *   has `auth` alone.
 */
export function readRegistryAuth(c: Context): string | undefined {
  const header = c.req.header('X-Registry-Auth')
  if (header === undefined || header === '') {
    return undefined
  }
  const credentials = BASE64URL.test(header) ? decodedObject(header) : undefined
  if (credentials === undefined) {
    throw new DeployerError(
      'malformed-request',
      'Cannot read the header X-Registry-Auth: it must be base64url of a JSON object such as {"username": "…", "password": "…"}, as Docker has it',
    )
  }
  // What `docker login` writes into config.json; only Docker's command line decodes it.
  const values = new Map<string, unknown>(Object.entries(credentials))
  if (values.has('auth') && !AUTH_MEMBERS.some((name) => Boolean(values.get(name)))) {
    throw new DeployerError(
      'malformed-request',
      'Cannot use the header X-Registry-Auth: it has only the member "auth", which the Docker Engine does not read; send {"username": "…", "password": "…"}, as base64url',
    )
  }
  return header
}

/**
 * The key by which the caller marks a request that it may send again.
 *
 * @param c The request's context.
 * @returns The header as it came; undefined when there is none.
 * @throws DeployerError `malformed-request` when it is longer than 255 characters.
 */
export function readIdempotencyKey(c: Context): string | undefined {
  const key = c.req.header('Idempotency-Key')
  if (key !== undefined && key.length > MAX_KEY_LENGTH) {
    throw new DeployerError(
      'malformed-request',
      `Cannot take an Idempotency-Key of ${key.length} characters: send at most ${MAX_KEY_LENGTH}`,
    )
  }
  return key === '' ? undefined : key
}

/**
 * Whether the caller wants to see the rollout as it goes on.
 *
 * @param c The request's context.
 * @returns True when `Accept` names `text/event-stream`; never for HEAD, whose answer has no body, so that
 *   nobody would end the stream.
 */
export function wantsEvents(c: Context): boolean {
  if (c.req.method === 'HEAD') {
    return false
  }
  const accept = c.req.header('Accept') ?? ''
  return accept.split(',').some((range) => range.split(';')[0]?.trim() === 'text/event-stream')
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
    throw malformedBody('it is no JSON object with the member "image"')
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

function decodedObject(base64url: string): object | undefined {
  try {
    const value = JSON.parse(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
