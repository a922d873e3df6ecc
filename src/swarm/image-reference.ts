// Image references as Docker's reference library (github.com/distribution/reference) reads them:
// parse `domain/path:tag@digest` and print it again.

import { DeployerError } from '../errors.ts'

/** An image reference, normalised as Docker does: `nginx` is `docker.io/library/nginx`. */
export interface ImageReference {
  /** The reference exactly as it was given. */
  readonly given: string
  /**
   * The registry's host and optional port, such as `docker.io` or `localhost:5000`. Empty where
   * Docker's grammar finds none: `a_b.com/app` is all path, since no host has an underscore.
   */
  readonly domain: string
  /** The repository's path, such as `library/nginx`. */
  readonly path: string
  /** The tag, if one was given. */
  readonly tag?: string
  /** The digest, such as `sha256:…`, if one was given. */
  readonly digest?: string
}

// The grammar, from the library's regexp.go, in its own words.
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

/** What people send by mistake; the first that fits is explained. */
const COMMON_MISTAKES: readonly { readonly pattern: RegExp; readonly remedy: string }[] = [
  { pattern: /^[a-f0-9]{64}$/, remedy: 'it is an image ID, not a name' },
  {
    // The grammar takes it for the tag of a repository called sha256.
    pattern: /^sha(?:256:[a-f0-9]{64}|512:[a-f0-9]{128})$/,
    remedy: 'it is a digest without a name; write it as name@sha256:…',
  },
  {
    pattern: /^[A-Za-z][A-Za-z0-9+.-]*:\/\//,
    remedy:
      'it is a URL; leave out what stands before the host, as in registry.example.com/me/blog:v1',
  },
  {
    pattern: /:(?:@|$)/,
    remedy: 'its tag is empty; write name:tag, or leave the colon out for the tag "latest"',
  },
]

// The algorithms that opencontainers/go-digest knows; each wants lower-case hex of one length.
const KNOWN_DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

const DEFAULT_DOMAIN = 'docker.io'
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io'
// The registry that serves Docker Hub's images may be named itself; it takes Docker Hub's credentials.
const HUB_HOSTS: readonly string[] = [LEGACY_DEFAULT_DOMAIN, 'registry-1.docker.io']
const OFFICIAL_PREFIX = 'library/'
const DEFAULT_TAG = 'latest'
const MAX_PATH_LENGTH = 255

/**
 * Reads an image reference by Docker's own grammar.
 *
 * @param given The reference as the caller wrote it.
 * @returns Its parts, normalised.
 * @throws DeployerError `invalid-image-reference` for whatever Docker would refuse.
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
 * The one spelling that all spellings of the same reference share, `latest` written out unless
 * there is a digest.
 *
 * @param reference The reference to print.
 * @returns Such as `docker.io/library/nginx:latest`.
 */
export function canonicalForm(reference: ImageReference): string {
  const tag = tagOf(reference)
  return fullName(reference) + suffix({ ...reference, ...(tag === undefined ? {} : { tag }) })
}

/**
 * The short spelling that Docker's command line shows; nothing is added.
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
 * @param other Another one, as some spec spells it; what Docker would refuse equals nothing.
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
 * @param other Another one, as some spec spells it.
 * @returns True when only tag and digest may differ.
 */
export function isSameRepository(one: ImageReference, other: string): boolean {
  const reference = parsed(other)
  return reference !== undefined && fullName(one) === fullName(reference)
}

/**
 * Whether two images are of the same repository of the same registry.
 *
 * @param one An image as some spec spells it.
 * @param other Another one.
 * @returns True when only tag and digest may differ; false when Docker would refuse one of them.
 */
export function isFromSameRepository(one: string, other: string): boolean {
  const reference = parsed(one)
  return reference !== undefined && isSameRepository(reference, other)
}

/**
 * Whether two images come from the same registry. Docker Hub's own hosts count as one.
 *
 * @param one An image as some spec spells it.
 * @param other Another one.
 * @returns True when host and port are the same; false where either cannot be read.
 */
export function isSameRegistry(one: string, other: string): boolean {
  const [host, otherHost] = [parsed(one), parsed(other)].map((reference) =>
    reference === undefined ? undefined : hostOf(reference),
  )
  return host !== undefined && host === otherHost
}

/**
 * The registry that an image comes from, for messages.
 *
 * @param image The image as some spec spells it.
 * @returns Such as `docker.io`; `an unknown registry` where the text is no reference.
 */
export function registryOf(image: string): string {
  return parsed(image)?.domain || 'an unknown registry'
}

/**
 * Whether a running image is one that somebody expects.
 *
 * @param expected What is expected; its digest counts when it has one, and then its tag need not
 *   be there.
 * @param running The image as some spec spells it.
 * @returns True when registry and repository are the same, and whatever tag and digest were expected.
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
 * Writes an image reference as Docker's CLI pins it.
 *
 * @param reference What the caller wants.
 * @param digest What the registry has for it.
 * @returns Such as `me/blog:v1.12@sha256:…`; as it was given when it has a digest already.
 */
export function pinnedForm(reference: ImageReference, digest: string): string {
  return reference.digest === undefined
    ? familiarForm({ ...reference, tag: reference.tag ?? DEFAULT_TAG, digest })
    : reference.given
}

/**
 * The digest that an image is pinned to.
 *
 * @param image The image as some spec spells it.
 * @returns Such as `sha256:…`; null where there is none.
 */
export function digestOf(image: string): string | null {
  return parsed(image)?.digest ?? null
}

/** Host names are compared without their case (RFC 4343). */
function hostOf({ domain }: ImageReference): string {
  const host = domain.toLowerCase()
  return HUB_HOSTS.includes(host) ? DEFAULT_DOMAIN : host
}

/** The tag that a reference means: `latest` unless there is a digest. */
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
