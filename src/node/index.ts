// The entry point `./node`: the adapters for gateways that run on Node.

export { TemplateError } from '../go-template/template-error.ts'
export {
  type BeanstalkdDestinationOptions,
  createBeanstalkdDestination,
} from './beanstalkd/beanstalkd-destination.ts'
export {
  createRegistryAuthFile,
  type RegistryAuthFileOptions,
} from './credentials/registry-auth-file.ts'
export {
  createDockerodeSwarm,
  type DockerodeSwarm,
  type DockerodeSwarmOptions,
  type DockerTls,
} from './docker/dockerode-swarm.ts'
export { createEtaRenderer } from './eta-renderer.ts'
export { createDirectorySpool, type DirectorySpoolOptions } from './spool/directory-spool.ts'
