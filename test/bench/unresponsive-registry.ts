// Measures deployments while other callers deploy images of a registry that never responds.

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
  connections and never responds, compared with the same without those callers: the longest of ${TIMES}.`

/**
 * Measures deployments while other callers wait for an unresponsive registry.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureUnresponsiveRegistry(lab: SharedLab): Promise<Section> {
  const deployer = await startDeployer(lab)
  const registry = await startUnresponsiveRegistry()
  const fleet = await createFleet(lab, { name: 'beside', size: 1 })
  try {
    const alone = await longestPut(deployer, () => fleet.nextImage('beside-0'))
    const others = deployer.client(CALLERS)
    const requests = Array.from({ length: CALLERS }, (_, n) => {
      const body = JSON.stringify({ image: `127.0.0.1:${registry.port}/silent/app:v${n}` })
      return others.call('PUT', '/service/beside-0', body).catch(() => {})
    })
    await registry.hasConnections()
    const beside = await longestPut(deployer, () => fleet.nextImage('beside-0'))
    others.close()
    await Promise.all(requests)
    const ratio = beside / alone
    const row = {
      what: `The longest of ${TIMES} deployments beside ${CALLERS} callers`,
      deployer: `${beside.toFixed(1)} ms`,
      peer: `${alone.toFixed(1)} ms`,
      ratio,
      limit: { text: `≤ ${MOST_RATIO}`, holds: ratio <= MOST_RATIO },
    }
    return { title: 'A registry that does not respond', peer: 'Alone', rows: [row], notes: NOTES }
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

async function startUnresponsiveRegistry() {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** Resolves once the registry has some connections. */
    async hasConnections(): Promise<void> {
      while (sockets.length < 8) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    close(): void {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
