// The measured process of `event-loop`: it reads tasks and services of a scripted engine, judges
// the rollout, and prints the longest time for which the event loop was blocked, as one line of
// JSON.

import { judge } from '../../src/convergence/judge.ts'
import { taskTargetOf } from '../../src/convergence/tasks.ts'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'

/** The longest blocking of the event loop, and the time of JSON.parse for the same text. */
export interface Blocking {
  readonly longestMs: number
  readonly bareMs: number
}

const ROUNDS = 15
const WARM_UP = 3
const AFTER_MS = 20_000

const [port = '', what = ''] = process.argv.slice(2)
const swarm = createDockerodeSwarm({ dockerHost: `tcp://127.0.0.1:${port}` })

/** Measures the longest iteration of the event loop during the work. */
async function longestIteration(work: () => Promise<unknown>): Promise<number> {
  let isDone = false
  let longestMs = 0
  let last = performance.now()
  const turn = (): void => {
    const now = performance.now()
    longestMs = Math.max(longestMs, now - last)
    last = now
    if (!isDone) setImmediate(turn)
  }
  await new Promise((resolve) => setImmediate(resolve))
  last = performance.now()
  setImmediate(turn)
  await work()
  await new Promise((resolve) => setImmediate(resolve))
  isDone = true
  return longestMs
}

async function judgeTasks(): Promise<void> {
  const [service, tasks, nodes] = await Promise.all([
    swarm.inspectService('blog'),
    swarm.listTasks('blog'),
    swarm.listNodes(),
  ])
  const { image = '', forceUpdate } = taskTargetOf(service.Spec.TaskTemplate)
  const writtenAt = new Date(Date.parse(tasks[0]?.CreatedAt ?? '')).toISOString()
  const rollout = { image, forceUpdate, versionIndex: 1, writtenAt }
  const now = Date.parse(writtenAt) + AFTER_MS
  const { state } = judge(rollout, { service, tasks, nodes, now })
  if (state !== 'converged') throw new Error(`The rollout is ${state}`)
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN
}

const path = what === 'tasks' ? '/tasks' : '/services/blog'
const text = await (await fetch(`http://127.0.0.1:${port}${path}`)).text()
const work = what === 'tasks' ? judgeTasks : () => swarm.inspectService('blog')
const longest: number[] = []
const bare: number[] = []
for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
  const longestMs = await longestIteration(work)
  const startedAt = performance.now()
  JSON.parse(text)
  const bareMs = performance.now() - startedAt
  if (round >= WARM_UP) {
    longest.push(longestMs)
    bare.push(bareMs)
  }
}
const blocking: Blocking = { longestMs: median(longest), bareMs: median(bare) }
console.log(JSON.stringify(blocking))
process.exit()
