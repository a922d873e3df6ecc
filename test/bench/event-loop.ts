// Measures for how long large responses of an engine block the event loop.

import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { GENERATED_IMAGE, generatedTasks } from '../support/generated-tasks.ts'
import { httpLoopback } from '../support/loopback.ts'
import { spawnOwned } from '../support/owned-process.ts'
import type { Blocking } from './event-loop-process.ts'
import type { Row, Section } from './report.ts'

const TASKS = 5000
const NODES = 1000
const SPEC_LABELS = 12_000
const MAX_MS = 50

const NOTES = `- The longest iteration of the event loop while a process reads ${TASKS} tasks and ${NODES} nodes of a
  service and judges the rollout, median of 15 rounds; compared with \`JSON.parse\` of the same tasks in
  one call. There is no engine: a server on a loopback port sends generated responses.
- *Awkward labels*: each task has a label whose name is a number, with U+2028 in its value.
- *A service*: 1 MiB of labels with U+2028, and a \`ForceUpdate\` of 17 digits, which must be written back
  exactly; it is parsed in one call.`

/**
 * Measures for how long the event loop is blocked.
 *
 * @returns The section.
 */
export async function measureEventLoop(): Promise<Section> {
  const rows = [
    row(
      `${TASKS} tasks, read and judged`,
      await measure('tasks', { tasks: generatedTasks(TASKS) }),
    ),
    row(
      `${TASKS} tasks with awkward labels`,
      await measure('tasks', { tasks: generatedTasks(TASKS, { label: ['7', 'a\u2028b'] }) }),
    ),
    row('A service with a spec of 1 MiB', await measure('service', { labels: SPEC_LABELS })),
  ]
  return { title: 'The event loop', peer: 'JSON.parse alone', rows, notes: NOTES }
}

function row(what: string, { longestMs, bareMs }: Blocking): Row {
  return {
    what,
    deployer: `${longestMs.toFixed(1)} ms`,
    peer: `${bareMs.toFixed(1)} ms`,
    ratio: longestMs / bareMs,
    limit: { text: `≤ ${MAX_MS} ms`, holds: longestMs <= MAX_MS },
  }
}

async function measure(
  what: 'tasks' | 'service',
  { tasks = '[]', labels = 0 }: { readonly tasks?: string; readonly labels?: number },
): Promise<Blocking> {
  const answers = [
    ['/tasks', tasks],
    ['/nodes', nodes()],
    ['/services/', service(labels)],
  ] as const
  const engine = await httpLoopback(({ url = '' }, response) => {
    const [, body = ''] = answers.find(([path]) => url.includes(path)) ?? []
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(body)
  })
  try {
    const script = join(import.meta.dirname, 'event-loop-process.ts')
    const child = spawnOwned(
      process.execPath,
      ['--import', 'tsx', script, String(engine.port), what],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    if (child.stdout === null) throw new Error('The process has no output')
    return JSON.parse(await readText(child.stdout))
  } finally {
    await engine.close()
  }
}

function nodes(): string {
  return JSON.stringify(
    Array.from({ length: NODES }, (_, index) => ({
      ID: `node${index}`.padEnd(25, 'b'),
      Description: { Hostname: `host${index}`, Engine: { Plugins: Array(30).fill({ Name: 'a' }) } },
      Spec: { Availability: 'active' },
      Status: { State: 'ready' },
    })),
  )
}

function service(labels: number): string {
  const Labels = Object.fromEntries(
    Array.from({ length: labels }, (_, index) => [
      `com.example.label.${index}`,
      `${'x'.repeat(50)}\u2028`,
    ]),
  )
  const counter = labels === 0 ? '0' : '17326312345678901'
  const text = JSON.stringify({
    ID: 's'.repeat(25),
    Version: { Index: 2 },
    Spec: {
      ...{ Name: 'blog', Labels, Mode: { Replicated: { Replicas: TASKS } } },
      TaskTemplate: { ContainerSpec: { Image: GENERATED_IMAGE }, ForceUpdate: 'counter' },
    },
    UpdateStatus: { State: 'completed', CompletedAt: '2026-11-24T14:30:40Z' },
  })
  return text.replaceAll('\u2028', '\\u2028').replace('"counter"', counter)
}
