// `npm run bench`: compares Deployer with engine calls alone, with the Docker CLI and with a
// minimal server. `--only accepting,rollouts` measures a part; `--write` writes
// `docs/performance.md`.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { raiseLab, type SharedLab } from '../lab/lab.ts'
import { measureAbandoned } from './abandoned-requests.ts'
import { measureAccepting } from './accepted-deployments.ts'
import { measureEventLoop } from './event-loop.ts'
import { measureNotifying } from './notification-cost.ts'
import { describeMachine, formatPage, formatTable, type Section } from './report.ts'
import { measureRollouts } from './rollout-cost.ts'
import { measureRefusals } from './unauthorized-requests.ts'
import { measurePredecessors } from './unknown-predecessor.ts'
import { measureUnresponsiveRegistry } from './unresponsive-registry.ts'
import { measureWaiting } from './waiting-callers.ts'

const PAGE = join(import.meta.dirname, '../../docs/performance.md')

const MEASUREMENTS: Readonly<Record<string, (lab: SharedLab) => Promise<Section>>> = {
  accepting: measureAccepting,
  predecessors: measurePredecessors,
  notifying: measureNotifying,
  rollouts: measureRollouts,
  waiting: measureWaiting,
  refusals: measureRefusals,
  registry: measureUnresponsiveRegistry,
  abandoned: measureAbandoned,
  'event-loop': measureEventLoop,
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(MEASUREMENTS).join() },
    write: { type: 'boolean', default: false },
  },
})
const measurements = values.only.split(',').map((name) => {
  const measure = MEASUREMENTS[name]
  if (measure === undefined) {
    throw new Error(`Unknown measurement "${name}": use ${Object.keys(MEASUREMENTS).join(', ')}`)
  }
  return measure
})
if (values.write && measurements.length < Object.keys(MEASUREMENTS).length) {
  throw new Error('The page contains all measurements: use --write without --only')
}

console.log('Starting the lab …')
const lab = await raiseLab({ log: console.log })
try {
  const sections: Section[] = []
  for (const measure of measurements) {
    const section = await measure(lab)
    console.log(`\n${section.title}\n\n${formatTable(section)}`)
    sections.push(section)
  }
  const machine = await describeMachine(lab)
  console.log(`\n${machine}`)
  if (values.write) await writeFile(PAGE, formatPage(sections, machine))
  const rows = sections.flatMap((section) => section.rows)
  process.exitCode = rows.every(({ limit }) => limit?.holds ?? true) ? 0 : 1
} finally {
  await lab.down()
}
