// `npm run bench`: what Deployer costs beside bare engine calls and a bare server.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Lab, raiseLab } from '../lab/lab.ts'
import { startDeployer, TUBE } from './deployer-process.ts'
import { createFleet } from './fleet.ts'
import {
  measureHop,
  measureLatency,
  measureMemory,
  measureRefusals,
  measureThroughput,
  warmUp,
} from './measurements.ts'
import { describeMachine, formatPage, formatTable, type Row } from './report.ts'

const PAGE = join(import.meta.dirname, '../../docs/performance.md')

async function measure(lab: Lab): Promise<readonly Row[]> {
  const fleet = await createFleet(lab, 64)
  const deployer = await startDeployer(lab)
  const bench = { lab, deployer, fleet }
  try {
    await warmUp(bench)
    const rows = [
      ...(await measureLatency(bench)),
      await measureHop(bench),
      await measureThroughput(bench, 16),
      await measureThroughput(bench, 64),
      await measureMemory(bench, 2000),
      await measureRefusals(bench),
    ]
    await checkMessages(lab, deployer.deployments())
    return rows
  } finally {
    await deployer.stop()
  }
}

/** Deployments that put no message would be cheaper than they are. */
async function checkMessages(lab: Lab, expected: number): Promise<void> {
  const messages = await lab.beanstalkd.countJobs(TUBE)
  if (messages !== expected) {
    throw new Error(`${expected} deployments put ${messages} messages on beanstalkd`)
  }
}

console.log('Raising the lab …')
const lab = await raiseLab({ log: console.log })
try {
  const rows = await measure(lab)
  const machine = await describeMachine(lab)
  const table = formatTable(rows)
  console.log(`\n${table}\n\n${machine}`)
  if (process.argv.includes('--write')) await writeFile(PAGE, formatPage(table, machine))
  process.exitCode = rows.every(({ limit }) => limit?.holds ?? true) ? 0 : 1
} finally {
  await lab.down()
}
