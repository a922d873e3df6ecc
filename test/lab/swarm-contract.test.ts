// The Swarm contract on a real engine.

import { createDockerodeSwarm } from '../../src/node/docker/dockerode-swarm.ts'
import { describeSwarm } from '../support/swarm-contract.ts'
import { sharedLab } from './shared-lab.ts'

describeSwarm('dockerode and a real engine', async () => {
  const lab = sharedLab()
  const image = lab.image('lab/app:v1')
  return {
    swarm: createDockerodeSwarm({ dockerHost: lab.engine.dockerHost }),
    images: [image, lab.image('lab/app:v2')],
    missingImage: lab.image('lab/app:nosuch'),
    async create(name, labels, replicas = 0) {
      const args = ['--no-resolve-image']
      return (await lab.createService({ name, image, labels, replicas, args })).id
    },
    async remove(name) {
      await lab.engine.docker('service', 'rm', name)
    },
  }
})
