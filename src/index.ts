// The portable door: the app, its options, the ports and the error.

export { createDeployer, type DeployerOptions } from './app.ts'
export type {
  DeploymentEvent,
  Logger,
  MessageData,
  Notifier,
  Renderer,
  Service,
  ServiceSpec,
  Swarm,
  UpdateOutcome,
} from './ports.ts'
export {
  DeployerError,
  type DeployerErrorOptions,
  type ProblemCode,
  type ProblemDocument,
  problemCodes,
} from './problem.ts'
