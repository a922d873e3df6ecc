// The table of what was measured, with the limits, and the page that keeps it.

import { arch, availableParallelism, cpus, type } from 'node:os'
import type { SharedLab } from '../lab/lab.ts'

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly deployer: string
  readonly bare?: string
  readonly ratio?: number
  /** Missing when the row is for information. */
  readonly limit?: { readonly text: string; readonly holds: boolean }
}

const HEAD = ['What', 'Deployer', 'Bare', 'Ratio', 'Limit', 'Holds']

/**
 * Writes the table in Markdown.
 *
 * @param rows Its rows.
 * @returns The table, readable as it is.
 */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map(({ what, deployer, bare = '', ratio, limit }) => [
    what,
    deployer,
    bare,
    ratio?.toFixed(2) ?? '',
    limit?.text ?? '',
    limit === undefined ? '' : limit.holds ? 'yes' : 'NO',
  ])
  const widths = HEAD.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(HEAD), rule, ...cells.map(line)].join('\n')
}

/**
 * Tells where and when the table was measured.
 *
 * @param lab The lab, for its engine's version.
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
 * Writes the page.
 *
 * @param table The table.
 * @param machine Where and when it was measured.
 * @returns The text of `docs/performance.md`.
 */
export function formatPage(table: string, machine: string): string {
  return `# Performance

\`npm run bench\` measures this, as root on Debian or Ubuntu, in about three minutes, and fails when a
limit does not hold; \`npm run bench -- --write\` writes this page.

${table}

Measured on ${machine}.

- *One at a time*: a \`PUT\` over one open connection, against the same engine calls (inspect, update)
  made bare over one open connection to the engine's socket. The service has 0 replicas and goes
  back and forth between two images. Deployer also puts a message on beanstalkd.
- *The same through a plain forwarder*: what one more hop costs on that machine, with no token, no log
  and no message; no gateway can do better.
- *16 and 64 at once*: the same on as many services and connections, in deployments per second.
- *Refused requests*: \`PUT\` with a wrong token over 32 open connections, against a Hono handler on
  the same server that answers 401 without looking.
- *Resident memory*: \`VmRSS\` of Deployer's process after the deployments; the peak is \`VmHWM\`.

Both sides take turns in short blocks, in one run, so that a noisy machine is noisy for both: the
ratios hold elsewhere, the absolute figures do not.
`
}
