// A program with a spool store: it reads one command per line of JSON from standard input, and
// writes one result per line to standard output.

import { createInterface } from 'node:readline'
import { createSpoolStore } from '../../src/node/spool/spool-store.ts'

const [directory = '', optionsText = '{}'] = process.argv.slice(2)
const log: unknown[] = []
const note = (fields: object, message: string): void => void log.push({ ...fields, message })
const left: string[] = []
let nowMs = 0

const store = createSpoolStore<'messages' | 'deployments'>(directory, {
  parts: ['messages', 'deployments'],
  logger: { info: note, warn: note, error: note },
  renewMs: 20,
  // Time passes only by the command `tick`.
  now: () => nowMs,
  ...JSON.parse(optionsText),
})
const { messages } = store.spools
messages.onLeft?.((records) => left.push(...records.map(({ key }) => key)))

const commands: Record<string, (argument: string) => unknown> = {
  async put(key) {
    await messages.put(key, { key })
    return messages.isSafe(key)
  },
  remove: (key) => messages.remove(key),
  owns: (key) => messages.owns?.(key),
  read: async () => (await messages.read()).map(({ key }) => key),
  left: () => left,
  log: () => log,
  close: () => store.close(60_000),
  tick: (ms) => {
    nowMs += Number(ms)
  },
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const [id, command, argument] = JSON.parse(line)
  const result = await commands[command]?.(argument)
  process.stdout.write(`${JSON.stringify([id, result ?? null])}\n`)
})
