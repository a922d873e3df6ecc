// Runs the Docker CLI, with which Deployer is compared: it updates a service and waits for the end.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { SharedLab } from '../lab/lab.ts'
import { labEnvironment } from '../lab/processes.ts'

/**
 * Runs `docker service update`, which also resolves the image.
 *
 * @param lab The lab.
 * @param dockerHost Address of the engine.
 * @param update The service and its next image.
 * @throws Error if the command fails.
 */
export async function updateByCli(
  lab: SharedLab,
  dockerHost: string,
  [service, image]: readonly [string, string],
): Promise<void> {
  const args = ['service', 'update', '--detach=false', `--image=${image}`, service]
  const env = {
    ...labEnvironment(lab.directory),
    DOCKER_HOST: dockerHost,
    DOCKER_CONFIG: join(lab.directory, 'docker-cli'),
  }
  const child = spawn('/usr/bin/docker', args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`\`docker ${args.join(' ')}\` exited with status ${code}`)
}
