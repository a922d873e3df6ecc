// Measures rejected requests with a wrong token, compared with a server that rejects every request.

import type { SharedLab } from '../lab/lab.ts'
import { alternate, type Pair, sum } from './alternating-blocks.ts'
import { startBareServer } from './bare-server-process.ts'
import { startDeployer } from './deployer-process.ts'
import type { Section } from './report.ts'
import { type LoadResult, sendUnauthorizedRequests } from './unauthorized-load.ts'

const REFUSAL_RATIO = 0.8

const NOTES = `- *Refused requests*: \`PUT\` with a wrong token over 32 open connections, compared with a Hono
  handler on the same server that answers 401 without checking the token.`

/**
 * Measures the cost of a rejected request.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureRefusals(lab: SharedLab): Promise<Section> {
  const deployer = await startDeployer(lab)
  const bareServer = await startBareServer('bare-server')
  const block = (port: number) =>
    sendUnauthorizedRequests(port, { connections: 32, milliseconds: 1000 })
  const rate = ({ answers, milliseconds }: LoadResult): number => (1000 * answers) / milliseconds
  try {
    const sides = { deployer: () => block(deployer.port), peer: () => block(bareServer.port) }
    await Promise.all([sides.deployer(), sides.peer()])
    const pairs = await alternate(sides, {
      ratio: (pair) => rate(pair.deployer) / rate(pair.peer),
      atLeast: 6,
      atMost: 8,
    })
    const total = (side: keyof Pair<unknown>): LoadResult => ({
      answers: sum(pairs.map((pair) => pair[side].answers)),
      milliseconds: sum(pairs.map((pair) => pair[side].milliseconds)),
    })
    const rates = { deployer: rate(total('deployer')), peer: rate(total('peer')) }
    const ratio = rates.deployer / rates.peer
    const row = {
      what: 'Refused requests',
      deployer: `${rates.deployer.toFixed(0)}/s`,
      peer: `${rates.peer.toFixed(0)}/s`,
      ratio,
      limit: { text: `≥ ${REFUSAL_RATIO}`, holds: ratio >= REFUSAL_RATIO },
    }
    return { title: 'Refusing a request', peer: 'Bare', rows: [row], notes: NOTES }
  } finally {
    await Promise.all([deployer.stop(), bareServer.stop()])
  }
}
