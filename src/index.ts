// The portable door: the app, its options, the ports and the error.

export type { DeploymentReport } from './answer.ts'
export { createDeployer } from './app.ts'
export { DeliveryFault, type DeliveryFaultOptions } from './delivery-fault.ts'
export type { DeliveryCounts, DeliveryLimits } from './delivery-queue.ts'
export {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from './deployment-event.ts'
export type { DryRunReport } from './dry-run.ts'
export type { ResolveImage } from './image-resolution.ts'
export type { DeployerOptions } from './options.ts'
export { createOutbox, type Outbox, type OutboxOptions } from './outbox.ts'
export type {
  Destination,
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
  Spool,
  SpooledRecord,
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
export type { ForeignRegistry } from './registry-credentials.ts'
export type { ServiceStatus } from './service-status.ts'
export type { Node, Platform, Task } from './swarm-types.ts'
export type { EndVerdict, Verdict } from './verdict.ts'
export { createWebhook, type WebhookOptions } from './webhook.ts'
export { defaultBody } from './webhook-body.ts'
export { urlTemplateFault } from './webhook-url.ts'
