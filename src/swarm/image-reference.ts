// Parses and prints image references, `domain/path:tag@digest`, as Docker's reference library does
// (github.com/distribution/reference).

import { DeployerError } from '../errors.ts'

/** An image reference, normalised as Docker does: `nginx` is `docker.io/library/nginx`. */
export interface ImageReference {
  /** The reference exactly as it was given. */
  readonly given: string
  /**
   * The registry's host and optional port, such as `docker.io` or `localhost:5000`. Empty where Docker's
   * grammar has none: `a_b.com/app` is only a path, since a host has no underscore.
   */
  readonly domain: string
  /** The repository's path, such as `library/nginx`. */
  readonly path: string
  /** The tag, if one was given. */
  readonly tag?: string
  /** The digest, such as `sha256:…`, if one was given. */
  readonly digest?: string
}

// The grammar, with the names of the library's regexp.go.
const ALPHANUMERIC = '[a-z0-9]+'
const SEPARATOR = '(?:[._]|__|[-]+)'
const PATH_COMPONENT = `${ALPHANUMERIC}(?:${SEPARATOR}${ALPHANUMERIC})*`
const REMOTE_NAME = `${PATH_COMPONENT}(?:/${PATH_COMPONENT})*`
const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN_NAME = `${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*`
const HOST = `(?:${DOMAIN_NAME}|\\[[a-fA-F0-9:]+\\])`
const DOMAIN = `${HOST}(?::[0-9]+)?`
const TAG = '[\\w][\\w.-]{0,127}'
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}'

const REFERENCE = new RegExp(
  `^(?:(?<domain>${DOMAIN})/)?(?<path>${REMOTE_NAME})(?::(?<tag>${TAG}))?(?:@(?<digest>${DIGEST}))?$`,
)

/** Common mistakes. The first that matches is explained. */
const COMMON_MISTAKES: readonly { readonly pattern: RegExp; readonly remedy: string }[] = [
  { pattern: /^[a-f0-9]{64}$/, remedy: 'it is an image ID, not a name' },
  {
    // By the grammar it is a tag of a repository with the name `sha256`.
    pattern: /^sha(?:256:[a-f0-9]{64}|512:[a-f0-9]{128})$/,
    remedy: 'it is a digest without a name; write it as name@sha256:…',
  },
  {
    pattern: /^[A-Za-z][A-Za-z0-9+.-]*:\/\//,
    remedy: 'it is a URL; remove everything before the host, as in registry.example.com/me/blog:v1',
  },
  {
    pattern: /:(?:@|$)/,
    remedy: 'its tag is empty; write name:tag, or omit the colon for the tag "latest"',
  },
]

// The algorithms of opencontainers/go-digest, each with lower-case hex of a fixed length.
const KNOWN_DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

const DEFAULT_DOMAIN = 'docker.io'
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io'
// Other names of Docker Hub's registry. They use the credentials of Docker Hub.
const HUB_HOSTS: readonly string[] = [LEGACY_DEFAULT_DOMAIN, 'registry-1.docker.io']
const OFFICIAL_PREFIX = 'library/'
const DEFAULT_TAG = 'latest'
const MAX_PATH_LENGTH = 255

/**
 * Parses an image reference by Docker's grammar.
 *
 * @param given The reference as the caller wrote it.
 * @returns Its parts, normalised.
 * @throws DeployerError `invalid-image-reference` for a text that Docker would reject.
 */
export function parseImageReference(given: string): ImageReference {
  const mistake = COMMON_MISTAKES.find(({ pattern }) => pattern.test(given))
  if (mistake !== undefined) {
    throw invalid(given, mistake.remedy)
  }
  const [maybeDomain, remainder] = splitDomain(given)
  const [repository = ''] = remainder.split(':', 1)
  if (repository !== repository.toLowerCase()) {
    throw invalid(given, 'the repository name must be lower case')
  }
  const groups = REFERENCE.exec(`${maybeDomain}/${remainder}`)?.groups
  if (groups === undefined) {
    throw invalid(given, 'write it as name:tag, such as me/blog:v1.12')
  }
  const { domain = '', path = '', tag, digest } = groups
  if (path.length > MAX_PATH_LENGTH) {
    throw invalid(given, `the repository name is longer than ${MAX_PATH_LENGTH} characters`)
  }
  if (digest !== undefined && !KNOWN_DIGEST.test(digest)) {
    throw invalid(given, 'the digest must be sha256, sha384 or sha512 with lower-case hex')
  }
  return {
    given,
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/**
 * Prints the canonical form, which is the same for all spellings of the same reference. It has the tag
 * `latest` where there is neither a tag nor a digest.
 *
 * @param reference The reference to print.
 * @returns Such as `docker.io/library/nginx:latest`.
 */
export function canonicalForm(reference: ImageReference): string {
  const tag = tagOf(reference)
  return fullName(reference) + suffix({ ...reference, ...(tag === undefined ? {} : { tag }) })
}

/**
 * Prints the short form that Docker's command line shows, without a default tag.
 *
 * @param reference The reference to print.
 * @returns Such as `nginx:1.27`.
 */
export function familiarForm(reference: ImageReference): string {
  return `${familiarName(reference)}${suffix(reference)}`
}

/**
 * Whether two spellings mean the same image: same registry, repository, tag and digest.
 *
 * @param one A reference.
 * @param other Another one, as a spec spells it. An invalid reference equals nothing.
 * @returns True when both have the same canonical form.
 */
export function isSameImage(one: ImageReference, other: string): boolean {
  if (one.given === other) {
    return true
  }
  const reference = parsed(other)
  return reference !== undefined && canonicalForm(one) === canonicalForm(reference)
}

/**
 * Whether two spellings name the same repository of the same registry.
 *
 * @param one A reference.
 * @param other Another one, as a spec spells it.
 * @returns True when only tag and digest may differ.
 */
export function isSameRepository(one: ImageReference, other: string): boolean {
  const reference = parsed(other)
  return reference !== undefined && fullName(one) === fullName(reference)
}

/**
 * Whether two images are of the same repository of the same registry.
 *
 * @param one An image as a spec spells it.
 * @param other Another one.
 * @returns True when only tag and digest may differ; false when one of them is invalid.
 */
export function isFromSameRepository(one: string, other: string): boolean {
  const reference = parsed(one)
  return reference !== undefined && isSameRepository(reference, other)
}

/**
 * Whether two images come from the same registry. Docker Hub's own hosts count as one.
 *
 * @param one An image as a spec spells it.
 * @param other Another one.
 * @returns True when host and port are the same; false when one of them is invalid.
 */
export function isSameRegistry(one: string, other: string): boolean {
  const [host, otherHost] = [parsed(one), parsed(other)].map((reference) =>
    reference === undefined ? undefined : hostOf(reference),
  )
  return host !== undefined && host === otherHost
}

/**
 * Gets the registry of an image, for messages.
 *
 * @param image The image as a spec spells it.
 * @returns Such as `docker.io`; `an unknown registry` for an invalid reference.
 */
export function registryOf(image: string): string {
  return parsed(image)?.domain || 'an unknown registry'
}

/**
 * Whether a running image is the expected one.
 *
 * @param expected The expected image. Where it has a digest, it needs no tag.
 * @param running The image as a spec spells it.
 * @returns True when registry and repository are the same, and the tag and digest that were expected.
 */
export function isExpectedImage(expected: ImageReference, running: string): boolean {
  const other = parsed(running)
  return (
    other !== undefined &&
    fullName(expected) === fullName(other) &&
    (expected.digest === undefined || expected.digest === other.digest) &&
    (tagOf(expected) === undefined || tagOf(expected) === tagOf(other))
  )
}

/**
 * Pins an image reference to a digest, as Docker's CLI does.
 *
 * @param reference The reference.
 * @param digest The digest from the registry.
 * @returns Such as `me/blog:v1.12@sha256:…`; unchanged when the reference has a digest already.
 */
export function pinnedForm(reference: ImageReference, digest: string): string {
  return reference.digest === undefined
    ? familiarForm({ ...reference, tag: reference.tag ?? DEFAULT_TAG, digest })
    : reference.given
}

/**
 * Gets the digest that an image is pinned to.
 *
 * @param image The image as a spec spells it.
 * @returns Such as `sha256:…`; null where there is none.
 */
export function digestOf(image: string): string | null {
  return parsed(image)?.digest ?? null
}

/**
 * Removes the digest that an image was pinned to.
 *
 * @param image The image as a spec spells it.
 * @returns Such as `me/blog:v1.12`; unchanged where it has no tag or no digest.
 */
export function withoutDigest(image: string): string {
  return /^(.+:[\w][\w.-]*)@[^@]+$/.exec(image)?.[1] ?? image
}

/** Host names are compared without regard to case (RFC 4343). */
function hostOf({ domain }: ImageReference): string {
  const host = domain.toLowerCase()
  return HUB_HOSTS.includes(host) ? DEFAULT_DOMAIN : host
}

/** The tag of a reference; `latest` where it has neither tag nor digest. */
function tagOf({ tag, digest }: ImageReference): string | undefined {
  return tag ?? (digest === undefined ? DEFAULT_TAG : undefined)
}

function parsed(text: string): ImageReference | undefined {
  try {
    return parseImageReference(text)
  } catch {
    return undefined
  }
}

/** `splitDockerDomain` of the library's normalize.go. */
function splitDomain(name: string): readonly [domain: string, remainder: string] {
  const slash = name.indexOf('/')
  if (slash === -1) {
    return [DEFAULT_DOMAIN, OFFICIAL_PREFIX + name]
  }
  const first = name.slice(0, slash)
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase()
  const domain = isDomain && first !== LEGACY_DEFAULT_DOMAIN ? first : DEFAULT_DOMAIN
  const remainder = isDomain ? name.slice(slash + 1) : name
  return domain === DEFAULT_DOMAIN && !remainder.includes('/')
    ? [domain, OFFICIAL_PREFIX + remainder]
    : [domain, remainder]
}

function fullName({ domain, path }: ImageReference): string {
  return domain === '' ? path : `${domain}/${path}`
}

function familiarName(reference: ImageReference): string {
  const { domain, path } = reference
  if (domain !== DEFAULT_DOMAIN) {
    return fullName(reference)
  }
  const rest = path.slice(OFFICIAL_PREFIX.length)
  return path.startsWith(OFFICIAL_PREFIX) && !rest.includes('/') ? rest : path
}

function suffix({ tag, digest }: ImageReference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`)
}

function invalid(given: string, remedy: string): DeployerError {
  const shown = given.length > 200 ? `${given.slice(0, 200)}…` : given
  return new DeployerError(
    'invalid-image-reference',
    `Cannot read ${JSON.stringify(shown)} as an image reference: ${remedy}`,
  )
}
