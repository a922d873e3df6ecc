// The door for gateways on Node: the adapters.

export { TemplateFault } from '../go-template/fault.ts'
export {
  createDockerodeSwarm,
  type DockerodeSwarm,
  type DockerodeSwarmOptions,
  type DockerTls,
} from './dockerode.ts'
export { createEtaRenderer } from './eta.ts'
export { type BeanstalkdDestinationOptions, createBeanstalkdDestination } from './fivebeans.ts'
export { createRegistryAuthFile, type RegistryAuthFileOptions } from './registry-auth-file.ts'
export { createDirectorySpool, type DirectorySpoolOptions } from './spool.ts'
