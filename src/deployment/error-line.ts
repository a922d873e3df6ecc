// The line that explains why a deployment did not succeed.

import type { Outcome, TaskEvidence } from './verdict.ts'

const MAX_ERROR_LENGTH = 1024

/**
 * Explains in one line why a deployment did not succeed: the message of the engine, and the slot, node,
 * state, error and exit code of each failed task. Log lines of tasks may contain secrets and are left
 * out.
 *
 * @param outcome How it ended.
 * @returns At most 1024 characters; empty when it succeeded.
 */
export function errorLine({ verdict, message = '', tasks = [] }: Outcome): string {
  if (verdict === 'converged' || verdict === 'unchanged') {
    return ''
  }
  return oneLine([message, ...tasks.map(taskLine)].filter(Boolean).join('; '))
}

function taskLine({ slot, node, state, error, exitCode }: TaskEvidence): string {
  const place = [
    slot === undefined ? 'a task' : `task ${slot}`,
    ...(node === '' ? [] : [`on ${node}`]),
  ]
  const why = error === '' ? '' : `: ${error}`
  const exit = exitCode === undefined ? '' : `, exit code ${exitCode}`
  return `${place.join(' ')} ${state}${why}${exit}`
}

/**
 * Joins the lines of a text.
 *
 * @param text The text.
 * @returns One line without control characters, at most 1024 characters.
 */
export function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  const start = line.slice(0, MAX_ERROR_LENGTH - 1).replace(/\p{Surrogate}$/u, '')
  return line.length > MAX_ERROR_LENGTH ? `${start}…` : line
}
