// Inspects a service over ssh in a process that has no free file descriptor, and prints the error.

import { closeSync, openSync, writeSync } from 'node:fs'
import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'

const swarm = createDockerodeSwarm({ dockerHost: 'ssh://nobody@127.0.0.1:1', timeoutMs: 2000 })
const opened: number[] = []
try {
  for (;;) {
    opened.push(openSync('/dev/null', 'r'))
  }
} catch {
  // No file descriptor is free now.
}
const error = await swarm.inspectService('blog').catch((reason) => reason)
for (const descriptor of opened) {
  closeSync(descriptor)
}
writeSync(1, JSON.stringify({ code: error.code, message: error.message }))
