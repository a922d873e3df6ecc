// The portable door: the app, its options, the ports and the error.

export type { DeploymentReport } from './answer.ts'
export { createDeployer } from './app.ts'
export type { DryRunReport } from './dry-run.ts'
export type { ResolveImage } from './image-resolution.ts'
export type { DeployerOptions } from './options.ts'
export type {
  DeploymentEvent,
  Logger,
  MessageData,
  Notifier,
  RegistryAuthStore,
  RegistryCredentials,
  Renderer,
  ResolvedImage,
  Service,
  ServiceEvent,
  ServiceListener,
  ServiceSpec,
  Swarm,
  UpdateOutcome,
  WatchOptions,
} from './ports.ts'
export {
  DeployerError,
  type DeployerErrorOptions,
  type ProblemCode,
  type ProblemDocument,
  problemCodes,
} from './problem.ts'
export type { ProgressReport } from './progress-stream.ts'
export type { ServiceStatus } from './service-status.ts'
export type { Node, Platform, Task } from './swarm-types.ts'
export type { EndVerdict, Verdict } from './verdict.ts'
