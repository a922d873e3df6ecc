import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DeployerError, isRequestError } from '../../src/errors.ts'
import { problemCodes, statusOf } from '../../src/http/problem.ts'

test('docs/problems.md has a heading for each code, with its status, and for no other', () => {
  const text = readFileSync(new URL('../../docs/problems.md', import.meta.url), 'utf8')
  const headings = [...text.matchAll(/^## `([a-z-]+)` \((\d{3})\)$/gm)]
  expect(headings.map(([, code, status]) => [code, Number(status)])).toEqual(
    problemCodes.map((code) => [code, statusOf(code)]),
  )
})

test('an error keeps its cause', () => {
  const cause = new Error('why')
  expect(new DeployerError('engine-error', 'Cannot', { cause }).cause).toBe(cause)
})

test('the codes of request errors are those with a status below 500', () => {
  const codes = problemCodes.filter((code) => isRequestError(new DeployerError(code, '')))
  expect(codes).toEqual(problemCodes.filter((code) => statusOf(code) < 500))
})
