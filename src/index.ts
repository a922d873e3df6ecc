// The portable entry point: the app, its options, the ports and the errors.

export { createDeployer } from './deployer.ts'
export type { DeployerOptions } from './deployer-options.ts'
export type { EndVerdict, Verdict } from './deployment/verdict.ts'
export { DeployerError, type DeployerErrorOptions, type ProblemCode } from './errors.ts'
export type { HistoryMode } from './history/history-mode.ts'
export type { HistoryStore, HistoryWrite, StoredHistory } from './history/history-store.ts'
export type { DeploymentReport } from './http/deployment-response.ts'
export type { HistoryDeployment, HistoryReport } from './http/history-report.ts'
export { type ProblemDocument, problemCodes } from './http/problem.ts'
export type { ProgressReport } from './http/progress-stream.ts'
export type { DeployBody, DeployerApp, DeployerSchema, DeploymentProblem } from './http/schema.ts'
export type { ServiceStatus } from './http/service-status.ts'
export type { Logger } from './logger.ts'
export { DeliveryError, type DeliveryErrorOptions } from './notification/delivery-error.ts'
export type { DeliveryCounts } from './notification/delivery-queue.ts'
export {
  type DeploymentEvent,
  type DeploymentEventName,
  deploymentEventNames,
} from './notification/deployment-event.ts'
export type { Destination } from './notification/destination.ts'
export type { Notifier } from './notification/notifier.ts'
export { createOutbox, type Outbox, type OutboxOptions } from './notification/outbox.ts'
export type { MessageData, Renderer } from './notification/renderer.ts'
export type { Spool, SpooledRecord } from './notification/spool.ts'
export type { DeliveryLimits } from './notification/waiting-messages.ts'
export { createWebhook, type WebhookOptions } from './notification/webhook/webhook.ts'
export { defaultBody } from './notification/webhook/webhook-body.ts'
export { urlTemplateError } from './notification/webhook/webhook-url.ts'
export type { Node, Platform, Task } from './swarm/engine-types.ts'
export type { Service, ServiceSpec } from './swarm/service.ts'
export type {
  RegistryCredentials,
  ResolvedImage,
  ServiceEvent,
  ServiceListener,
  Swarm,
  UpdateOutcome,
  WatchOptions,
} from './swarm/swarm.ts'
export type { DryRunReport } from './update/dry-run.ts'
export type { ResolveImage } from './update/image-resolution.ts'
export type { RegistryAuthStore } from './update/registry-auth-store.ts'
export type { ForeignRegistry } from './update/registry-credentials.ts'
