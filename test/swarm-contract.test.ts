import { createFakeSwarm } from './support/fake-swarm.ts'
import { describeSwarm } from './support/swarm-contract.ts'

describeSwarm('the fake', async () => {
  const swarm = createFakeSwarm()
  const images = ['me/app:v1', 'me/app:v2'] as const
  return {
    swarm,
    images,
    create: async (name, labels) => swarm.addService(name, { image: images[0], labels }).ID,
  }
})
