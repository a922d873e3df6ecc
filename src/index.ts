// The portable door: the app, its options, the ports and the error.

export type { DeployerOptions } from './deployer-options.ts'
export type { EndVerdict, Verdict } from './deployment/verdict.ts'
export { createDeployer } from './http/app.ts'
export type { DeploymentReport } from './http/deployment-response.ts'
export {
  DeployerError,
  type DeployerErrorOptions,
  type ProblemCode,
  type ProblemDocument,
  problemCodes,
} from './http/problem.ts'
export type { ProgressReport } from './http/progress-stream.ts'
export type { ServiceStatus } from './http/service-status.ts'
export { DeliveryFault, type DeliveryFaultOptions } from './notification/delivery-error.ts'
export type { DeliveryCounts, DeliveryLimits } from './notification/delivery-queue.ts'
export {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from './notification/deployment-event.ts'
export { createOutbox, type Outbox, type OutboxOptions } from './notification/outbox.ts'
export { createWebhook, type WebhookOptions } from './notification/webhook/webhook.ts'
export { defaultBody } from './notification/webhook/webhook-body.ts'
export { urlTemplateFault } from './notification/webhook/webhook-url.ts'
export type { Node, Platform, Task } from './swarm/engine-types.ts'
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
} from './swarm/swarm.ts'
export type { DryRunReport } from './update/dry-run.ts'
export type { ResolveImage } from './update/image-resolution.ts'
export type { ForeignRegistry } from './update/registry-credentials.ts'
