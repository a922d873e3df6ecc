// Measures engine calls for requests whose callers have disconnected, and for many callers of one
// service.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedLab } from '../lab/lab.ts'
import { type CountingSocket, openCountingSocket } from './counting-socket.ts'
import { startDeployer, TOKEN } from './deployer-process.ts'
import { createFleet } from './fleet.ts'
import type { Row, Section } from './report.ts'

const SECONDS = 5
const HEADS = 90
const CONNECTIONS = 30
const PIPELINED = 3
const FOLLOWERS = 40
const UNSATISFIABLE = ['--constraint=node.labels.bench==nowhere']

const NOTES = `- Engine calls in ${SECONDS} s, compared with those without callers: after ${HEADS} \`HEAD\` requests that
  accept \`text/event-stream\`, each for another deployment; after ${CONNECTIONS} connections with ${PIPELINED} pipelined
  waiting requests each were closed; and while ${FOLLOWERS} callers follow as many deployments of one service.`

/**
 * Measures engine calls.
 *
 * @param lab The lab.
 * @returns The section.
 */
export async function measureAbandoned(lab: SharedLab): Promise<Section> {
  const engine = await openCountingSocket(
    lab.engine.socketPath,
    join(lab.directory, 'abandoned.sock'),
  )
  const fleet = await createFleet(lab, { name: 'left', size: 1, args: UNSATISFIABLE })
  await lab.engine.docker('service', 'scale', '--detach', 'left-0=1')
  const deployer = await startDeployer(lab, { dockerHost: engine.dockerHost })
  const serviceId = fleet.services[0]?.id ?? ''
  const open = (): Promise<Socket> => openSocket(deployer.port)
  const head = { method: 'HEAD', accept: 'text/event-stream' }
  const wait = { method: 'GET', query: '?wait=3600' }
  const follow = { method: 'GET', accept: 'text/event-stream' }
  let ids = 0
  const nextId = (): string => {
    ids += 1
    return deploymentIdOf(serviceId, ids)
  }
  try {
    const withoutCallers = await callsIn(engine)
    const count = (calls: number): Omit<Row, 'what'> => ({
      deployer: String(calls),
      peer: String(withoutCallers),
      limit: { text: '≤ 20 more', holds: calls - withoutCallers <= 20 },
    })

    const heads = await Promise.all(Array.from({ length: HEADS }, open))
    for (const socket of heads) socket.write(requestText(nextId(), head))
    await Promise.all(heads.map((socket) => once(socket, 'data')))
    closeAll(heads)
    await sleep(500)
    const afterHeads = await callsIn(engine)

    const pipelines = await Promise.all(Array.from({ length: CONNECTIONS }, open))
    for (const socket of pipelines) {
      socket.write(Array.from({ length: PIPELINED }, () => requestText(nextId(), wait)).join(''))
    }
    await sleep(1000)
    closeAll(pipelines)
    await sleep(500)
    const afterPipelines = await callsIn(engine)

    const followers = await Promise.all(Array.from({ length: FOLLOWERS }, open))
    for (const socket of followers) socket.write(requestText(nextId(), follow))
    await Promise.all(followers.map((socket) => once(socket, 'data')))
    await sleep(1500)
    const whileFollowed = await callsIn(engine)
    closeAll(followers)

    const rows = [
      { what: `After ${HEADS} HEADs`, ...count(afterHeads) },
      { what: `After ${CONNECTIONS} closed pipelines`, ...count(afterPipelines) },
      {
        what: `With ${FOLLOWERS} followers of one service`,
        ...count(whileFollowed),
        limit: { text: '≤ 60', holds: whileFollowed <= 60 },
      },
    ]
    return { title: 'Disconnected callers', peer: 'No callers', rows, notes: NOTES }
  } finally {
    await deployer.stop()
    await fleet.remove()
    await engine.close()
  }
}

async function callsIn(engine: CountingSocket): Promise<number> {
  engine.reset()
  await sleep(SECONDS * 1000)
  return engine.calls().length
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

function closeAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy()
}

interface RequestParts {
  readonly method: string
  readonly query?: string
  readonly accept?: string
}

function requestText(id: string, { method, query = '', accept = '*/*' }: RequestParts): string {
  const headers = [`Authorization: ${TOKEN}`, `Accept: ${accept}`, 'Host: deployer']
  return `${method} /deployments/${id}${query} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`
}

/** The ID of a deployment that does not exist; each number has another ID. */
function deploymentIdOf(serviceId: string, number: number): string {
  const parts = [1, 'left-0', serviceId, 'me/app:v2', 'me/app:v2', 'me/app:v1', 0, 9e15]
  return Buffer.from(JSON.stringify([...parts, Date.now() + number, ''])).toString('base64url')
}
