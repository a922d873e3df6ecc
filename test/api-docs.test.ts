// docs/api.md has a heading for every export of both entry points, and a row for every option.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const PAGE = readFileSync(join(ROOT, 'docs/api.md'), 'utf8')

interface Interface {
  readonly members: readonly string[]
  readonly parents: readonly string[]
}

const interfaces = new Map(
  readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => interfacesOf(readFileSync(join(ROOT, 'src', name), 'utf8'))),
)

/** The exported interfaces of a module: their own members, and the interfaces that they extend. */
function interfacesOf(source: string): readonly (readonly [string, Interface])[] {
  const found = source.matchAll(
    /^export interface (\w+)(?:\s+extends ([\w, ]+))? \{\n([\s\S]*?)^\}/gm,
  )
  return [...found].map(([, name = '', parents = '', body = '']) => {
    const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(
      ([, member = '']) => member,
    )
    return [name, { members, parents: parents.split(/, ?/).filter(Boolean) }] as const
  })
}

function membersOf(name: string): readonly string[] {
  const { members = [], parents = [] } = interfaces.get(name) ?? {}
  return [...parents.flatMap(membersOf), ...members]
}

function exportsOf(entry: string): readonly string[] {
  const source = readFileSync(join(ROOT, entry), 'utf8')
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list = '']) => list)
  return lists
    .join(',')
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter(Boolean)
    .sort()
}

/** A page of one entry: each heading, the names in it, and the text below. */
function sectionsOf(entry: string): readonly { names: readonly string[]; text: string }[] {
  const [, ...pages] = PAGE.split(/^(?=# )/m)
  const page = pages.find((text) => text.startsWith(`# \`${entry}\`\n`)) ?? ''
  return page
    .split(/^(?=###? )/m)
    .filter((section) => section.startsWith('### '))
    .map((text) => {
      const [heading = ''] = text.split('\n')
      return { names: [...heading.matchAll(/`(\w+)`/g)].map(([, name = '']) => name), text }
    })
}

describe.each([
  ['swarm-deployer', 'src/index.ts'],
  ['swarm-deployer/node', 'src/node/index.ts'],
])('docs/api.md, %s', (entry, file) => {
  const sections = sectionsOf(entry)

  test('has a heading for each export, and for no other', () => {
    expect(sections.flatMap(({ names }) => names).toSorted()).toEqual(exportsOf(file))
  })

  test.each(sections.filter(({ names }) => names.some((name) => /(?:Options|Limits)$/.test(name))))(
    'has a row for each option of $names',
    ({ names, text }) => {
      const rows = [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, option = '']) => option)
      const options = names.filter((name) => /(?:Options|Limits)$/.test(name)).flatMap(membersOf)
      expect(new Set(rows)).toEqual(new Set(options))
      expect(rows.length).toBe(new Set(rows).size)
    },
  )
})
