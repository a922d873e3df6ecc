// Formats the measurements as tables with limits, and as the page `docs/performance.md`.

import { arch, availableParallelism, cpus, type } from 'node:os'
import type { SharedLab } from '../lab/lab.ts'

/** One line of a table. */
export interface Row {
  readonly what: string
  readonly deployer: string
  readonly peer?: string
  readonly ratio?: number
  /** Absent if the row is for information. */
  readonly limit?: { readonly text: string; readonly holds: boolean }
}

/** A table. */
export interface Section {
  readonly title: string
  /** Name of the side with which Deployer is compared. */
  readonly peer: string
  readonly rows: readonly Row[]
  /** Explanation of the rows, in Markdown. */
  readonly notes: string
}

/**
 * Formats a table in Markdown with aligned columns.
 *
 * @param section The section.
 * @returns The table.
 */
export function formatTable({ peer: name, rows }: Section): string {
  const head = ['What', 'Deployer', name, 'Ratio', 'Limit', 'Holds']
  const cells = rows.map(({ what, deployer, peer = '', ratio, limit }) => [
    what,
    deployer,
    peer,
    ratio?.toFixed(2) ?? '',
    limit?.text ?? '',
    limit === undefined ? '' : limit.holds ? 'yes' : 'NO',
  ])
  const widths = head.map((word, column) =>
    Math.max(word.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(head), rule, ...cells.map(line)].join('\n')
}

/**
 * Describes the machine, the versions and the date of the measurement.
 *
 * @param lab The lab, for the version of its engine.
 * @returns One line.
 */
export async function describeMachine(lab: SharedLab): Promise<string> {
  const { text } = await lab.engine.request('GET', '/version')
  const engine: string = JSON.parse(text).Version
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  const machine = `${availableParallelism()} cores of ${model} (${type()} ${arch()})`
  const date = new Date().toISOString().slice(0, 10)
  return `${machine}, Node ${process.version}, Docker Engine ${engine}, ${date}`
}

/**
 * Formats the page.
 *
 * @param sections The measurements.
 * @param machine The text of {@link describeMachine}.
 * @returns The text of `docs/performance.md`.
 */
export function formatPage(sections: readonly Section[], machine: string): string {
  const parts = sections.map(
    (section) => `## ${section.title}\n\n${formatTable(section)}\n\n${section.notes}\n`,
  )
  return `# Performance

\`npm run bench\` measures this, as root on Debian or Ubuntu, in about six minutes, and fails when a
limit does not hold; \`npm run bench -- --only rollouts\` measures a part, and
\`npm run bench -- --write\` writes this page.

Measured on ${machine}. Both sides take turns
in one run, so that other load on the machine affects both: the ratios are comparable between machines,
the absolute figures are not.

${formatMissedLimits(sections)}

${parts.join('\n')}`
}

/** The limits that did not hold: the rows with NO, with an explanation. */
function formatMissedLimits(sections: readonly Section[]): string {
  const missed = sections
    .flatMap(({ rows }) => rows)
    .flatMap(({ what, deployer, ratio, limit }) => {
      const value = ratio === undefined ? deployer : `${deployer} (ratio ${ratio.toFixed(2)})`
      return limit === undefined || limit.holds ? [] : [`- ${what}: ${value}, limit ${limit.text}`]
    })
  return missed.length === 0
    ? 'All limits held in this run.'
    : `The limits are targets, and \`npm run bench\` fails until all of them hold. In this run these did not,
which the tables mark with NO:

${missed.join('\n')}`
}
