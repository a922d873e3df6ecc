// docs/contributing.md: the map of the code names files that exist.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const PAGE = readFileSync(join(ROOT, 'docs/contributing.md'), 'utf8')

test('every file and directory that it names exists', () => {
  const paths = [...PAGE.matchAll(/`((?:src|test|docs)\/[^`\s]*)`/g)].map(([, path = '']) => path)
  expect(paths.length).toBeGreaterThan(40)
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('it answers at least thirty questions', () => {
  expect([...PAGE.matchAll(/^\| Where .*\? \| `src\/[^`]+\.ts` \|$/gm)].length).toBeGreaterThan(29)
})

test('it lists every directory and every file at the top of src', () => {
  const entries = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).map((entry) =>
    entry.isDirectory() ? `src/${entry.name}/` : `src/${entry.name}`,
  )
  expect(entries.filter((entry) => !PAGE.includes(`\`${entry}\``))).toEqual([])
})

test('every script of package.json that it names exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const named = [...PAGE.matchAll(/^npm (?:run )?(\S+)/gm)].map(([, script = '']) => script)
  expect(named.filter((script) => scripts[script] === undefined)).toEqual([])
})
