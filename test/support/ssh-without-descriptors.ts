// Asks for a service over ssh when the process has no file descriptor left, and prints what came of it.

import { closeSync, openSync, writeSync } from 'node:fs'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'

const swarm = createDockerodeSwarm({ dockerHost: 'ssh://nobody@127.0.0.1:1', timeoutMs: 2000 })
const opened: number[] = []
try {
  for (;;) {
    opened.push(openSync('/dev/null', 'r'))
  }
} catch {
  // None is left now.
}
const fault = await swarm.inspectService('blog').catch((error) => error)
for (const descriptor of opened) {
  closeSync(descriptor)
}
writeSync(1, JSON.stringify({ code: fault.code, message: fault.message }))
