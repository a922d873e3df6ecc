// The door for gateways on Node: the adapters.

export { TemplateFault } from '../go-template/fault.ts'
export {
  createDockerodeSwarm,
  type DockerodeSwarm,
  type DockerodeSwarmOptions,
  type DockerTls,
} from './dockerode.ts'
export { createEtaRenderer } from './eta.ts'
export {
  createFivebeansNotifier,
  type FivebeansNotifier,
  type FivebeansNotifierOptions,
} from './fivebeans.ts'
export { createRegistryAuthFile, type RegistryAuthFileOptions } from './registry-auth-file.ts'
