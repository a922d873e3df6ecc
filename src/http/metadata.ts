// Metadata: strings that a caller sends with a deployment, for the messages about it.

import { malformedBody } from './body.ts'

const MAX_MEMBERS = 32
const MAX_VALUE_LENGTH = 1024
const MAX_LENGTH = 4096
// The names that a template can use: {{.Meta.commit}}.
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
const REMEDY = 'it must be an object of strings, such as {"commit": "1f2e3d"}'

/**
 * Reads the metadata of a request's body.
 *
 * @param value The parsed value of the member; undefined when it was not sent.
 * @returns The metadata, an object without a prototype.
 * @throws DeployerError `malformed-request` when it is not a flat object of strings, has a name that no
 *   template can use, or is too large.
 */
export function readMetadata(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (value === undefined) {
      return Object.create(null)
    }
    throw malformedBody(`"metadata" is not a JSON object: ${REMEDY}`)
  }
  const members: readonly (readonly [string, unknown])[] = Object.entries(value)
  if (members.length > MAX_MEMBERS) {
    throw malformedBody(
      `"metadata" has ${members.length} members: at most ${MAX_MEMBERS} are allowed`,
    )
  }
  const texts = members.map(readMember)
  const length = texts.reduce((sum, [name, text]) => sum + name.length + text.length, 0)
  if (length > MAX_LENGTH) {
    throw malformedBody(
      `the names and values of "metadata" have ${length} characters: at most ${MAX_LENGTH} are allowed`,
    )
  }
  return Object.assign(Object.create(null), Object.fromEntries(texts))
}

function readMember([name, text]: readonly [string, unknown]): readonly [string, string] {
  if (!NAME.test(name) || name === '__proto__') {
    throw malformedBody(
      `the metadata name ${shortened(name)} is invalid: it must be 1 to 64 letters, digits and underscores, not begin with a digit and not be "__proto__"`,
    )
  }
  if (typeof text !== 'string') {
    throw malformedBody(
      `the metadata ${shortened(name)} is not a string: each value must be one, such as "42"`,
    )
  }
  if (text.length > MAX_VALUE_LENGTH) {
    throw malformedBody(
      `the metadata ${shortened(name)} has ${text.length} characters: at most ${MAX_VALUE_LENGTH} are allowed`,
    )
  }
  return [name, text]
}

function shortened(name: string): string {
  return JSON.stringify(name.slice(0, 100))
}
