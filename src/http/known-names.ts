// Pure: the names of query parameters and body members, and spelling mistakes in them. A request with
// such a mistake is rejected: without the misspelled name it would do something else.

import { DeployerError } from '../errors.ts'

/** The part of a request that has a name. */
export type NamePlace = 'query' | 'body'

const KNOWN_NAMES: Readonly<Record<NamePlace, readonly string[]>> = {
  query: ['wait', 'dryRun'],
  body: ['image', 'expect', 'force', 'metadata', 'resume'],
}
const PLACES: readonly NamePlace[] = ['query', 'body']
const LABELS: Readonly<Record<NamePlace, string>> = {
  query: 'query parameter',
  body: 'body member',
}
const MAX_SHOWN = 100

/**
 * Checks the names of a query or of a body. Names that resemble no known one are ignored, as the Go
 * program does. It also ignored the case of `image`, so any case of that is accepted.
 *
 * @param place The part of the request.
 * @param names All names in the order of the request, including repeated ones.
 * @throws DeployerError `malformed-request` when a name equals a known one but for case, hyphens and
 *   underscores, when it belongs in the other place, or when a known name is repeated.
 */
export function checkNames(place: NamePlace, names: readonly string[]): void {
  const found = new Set<string>()
  for (const name of names) {
    const known = findKnown(name)
    if (known === undefined) {
      continue
    }
    if (known.place !== place) {
      throw malformed(place, name, `send ${describe(known)}`)
    }
    if (name !== known.name && !isImageName(place, name)) {
      throw malformed(place, name, `it is spelled ${JSON.stringify(known.name)}`)
    }
    if (found.has(known.name)) {
      throw malformed(place, name, 'the request has it more than once; send it once')
    }
    found.add(known.name)
  }
}

/**
 * Whether a body member is the image.
 *
 * @param name The name.
 * @returns True for `image` in any case, as in Go's `encoding/json`.
 */
export function isBodyImage(name: string): boolean {
  return name.toLowerCase() === 'image'
}

interface KnownName {
  readonly place: NamePlace
  readonly name: string
}

function findKnown(name: string): KnownName | undefined {
  const normalized = normalize(name)
  for (const place of PLACES) {
    const known = KNOWN_NAMES[place].find((one) => normalize(one) === normalized)
    if (known !== undefined) {
      return { place, name: known }
    }
  }
  return undefined
}

function normalize(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase()
}

function isImageName(place: NamePlace, name: string): boolean {
  return place === 'body' && isBodyImage(name)
}

function describe({ place, name }: KnownName): string {
  return place === 'query'
    ? `the query parameter ${JSON.stringify(name)} instead, as in ?${name}=${EXAMPLES[name]}`
    : `the member ${JSON.stringify(name)} of the JSON body instead`
}

const EXAMPLES: Readonly<Record<string, string>> = { wait: '50', dryRun: 'true' }

function malformed(place: NamePlace, name: string, remedy: string): DeployerError {
  const shown = JSON.stringify(name.slice(0, MAX_SHOWN))
  return new DeployerError(
    'malformed-request',
    `Cannot accept the ${LABELS[place]} ${shown}: ${remedy}`,
  )
}
