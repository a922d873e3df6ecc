// docs/verdicts.md: each row of its table names a test that exists, and a verdict that exists.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endVerdicts } from '../src/deployment/verdict.ts'

const ROOT = join(import.meta.dirname, '..')
const PAGE = readFileSync(join(ROOT, 'docs/verdicts.md'), 'utf8')
const ROW = /^\|[^|]+\|[^|]+\| `(?<verdict>[a-z-]+)` \| `(?<file>[a-z-]+)`: (?<name>[^|]+) \|$/gm
const rows = [...PAGE.matchAll(ROW)].map(({ groups = {} }) => groups)

test('each row of the table names a test on a real engine', () => {
  expect(rows.length).toBeGreaterThan(30)
  const missing = rows.filter(
    ({ file, name = '' }) =>
      !readFileSync(join(ROOT, 'test/lab', `${file}.test.ts`), 'utf8').includes(name),
  )
  expect(missing).toEqual([])
})

test('the table has every verdict that a rollout can have', () => {
  const verdicts = new Set(rows.map(({ verdict }) => verdict))
  // `unknown` needs a gap in what Deployer saw; the table is of what the engine shows.
  expect(endVerdicts.filter((verdict) => !verdicts.has(verdict))).toEqual(['unknown'])
})
