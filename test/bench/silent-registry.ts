// What other deployments notice of callers who name images of a registry that never answers.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { SharedLab } from '../lab/lab.ts'
import { type DeployerProcess, startDeployer } from './deployer-process.ts'
import { createFleet } from './fleet.ts'
import type { Section } from './report.ts'

const CALLERS = 64
const TIMES = 20
const MOST_RATIO = 2

const NOTES = `- \`PUT\` to one service, one at a time, while ${CALLERS} callers \`PUT\` images of a registry that accepts
  connections and is silent, against the same without those callers: the longest of ${TIMES}.`

/**
 * Measures deployments beside callers who wait for a silent registry.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureSilentRegistry(lab: SharedLab): Promise<Section> {
  const deployer = await startDeployer(lab)
  const registry = await startSilentRegistry()
  const fleet = await createFleet(lab, { name: 'beside', size: 1 })
  try {
    const alone = await longestPut(deployer, () => fleet.nextImage('beside-0'))
    const crowd = deployer.client(CALLERS)
    const questions = Array.from({ length: CALLERS }, (_, n) => {
      const body = JSON.stringify({ image: `127.0.0.1:${registry.port}/silent/app:v${n}` })
      return crowd.call('PUT', '/service/beside-0', body).catch(() => {})
    })
    await registry.isAsked()
    const beside = await longestPut(deployer, () => fleet.nextImage('beside-0'))
    crowd.close()
    await Promise.all(questions)
    const ratio = beside / alone
    const row = {
      what: `The longest of ${TIMES} deployments beside ${CALLERS} callers`,
      deployer: `${beside.toFixed(1)} ms`,
      peer: `${alone.toFixed(1)} ms`,
      ratio,
      limit: { text: `≤ ${MOST_RATIO}`, holds: ratio <= MOST_RATIO },
    }
    return { title: 'A registry that is silent', peer: 'Alone', rows: [row], notes: NOTES }
  } finally {
    registry.close()
    await fleet.remove()
    await deployer.stop()
  }
}

async function longestPut(deployer: DeployerProcess, nextImage: () => string): Promise<number> {
  const client = deployer.client(1)
  let longest = 0
  for (let n = 0; n < TIMES; n += 1) {
    const startedAt = performance.now()
    const body = JSON.stringify({ image: nextImage() })
    const { status, text } = await client.call('PUT', '/service/beside-0', body)
    if (status !== 200) throw new Error(`Could not deploy: ${text}`)
    longest = Math.max(longest, performance.now() - startedAt)
  }
  client.close()
  return longest
}

async function startSilentRegistry() {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** Resolves once some questions have come to the registry. */
    async isAsked(): Promise<void> {
      while (sockets.length < 8) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    close(): void {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
