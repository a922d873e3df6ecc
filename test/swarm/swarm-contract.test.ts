import { DeployerError } from '../../src/errors.ts'
import { createFakeSwarm } from '../support/fake-swarm.ts'
import { describeSwarm } from '../support/swarm-contract.ts'

describeSwarm('the fake', async () => {
  const swarm = createFakeSwarm()
  const images = ['me/app:v1', 'me/app:v2'] as const
  const missingImage = 'me/app:missing'
  swarm.setImage(missingImage, new DeployerError('image-not-found', 'Cannot resolve: not there'))
  return {
    swarm,
    images,
    missingImage,
    create: async (name, labels, replicas = 0) =>
      swarm.addService(name, { image: images[0], labels, replicas }).ID,
    remove: async (name) => swarm.remove(name),
  }
})
