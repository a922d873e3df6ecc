// A program that embeds a deployer, deploys once, and does nothing more while the rollout goes on.

import { createDeployer } from '../../src/deployer.ts'
import { createFakeSwarm } from './fake-swarm.ts'

const swarm = createFakeSwarm()
swarm.onUpdate = 'none'
swarm.addService('blog')
if (process.argv[2] === 'without-events') {
  swarm.watchServices = () => Promise.reject(new Error('403 Forbidden'))
}
const app = createDeployer({ token: 'SOME_TOKEN', swarm, notifier: () => {} })
const response = await app.request('/service/blog', {
  method: 'PUT',
  body: '{"image":"me/app:v2"}',
  headers: { Authorization: 'SOME_TOKEN' },
})
process.stdout.write(String(response.status))
