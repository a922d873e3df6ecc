import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DeployerError, problemCodes } from '../../src/http/problem.ts'

test('docs/problems.md has a heading for each code, with its status, and for no other', () => {
  const text = readFileSync(new URL('../../docs/problems.md', import.meta.url), 'utf8')
  const headings = [...text.matchAll(/^## `([a-z-]+)` \((\d{3})\)$/gm)]
  expect(headings.map(([, code, status]) => [code, Number(status)])).toEqual(
    problemCodes.map((code) => [code, new DeployerError(code, '').status]),
  )
})

test('an error keeps its cause', () => {
  const cause = new Error('why')
  expect(new DeployerError('engine-error', 'Cannot', { cause }).cause).toBe(cause)
})
