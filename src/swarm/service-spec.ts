// The members of a service's spec that concern updates: the label that allows them, and the image.

import type { Service, ServiceSpec } from './service.ts'

/** The service label with which the owner of a service allows updates. */
export const ALLOW_UPDATES_LABEL = 'deployer.allowUpdates'

/**
 * Whether the owner of a service allows updates.
 *
 * @param spec The service's spec. Its service labels count, not the labels of its containers.
 * @returns True when the label `deployer.allowUpdates` is exactly `true`.
 */
export function allowsUpdates(spec: ServiceSpec): boolean {
  return spec.Labels?.[ALLOW_UPDATES_LABEL] === 'true'
}

/**
 * Gets the image of a service.
 *
 * @param spec The service's spec.
 * @returns The image as the spec spells it, or undefined for a service that runs no container
 *   (plugins and network attachments).
 */
export function currentImage(spec: ServiceSpec): string | undefined {
  return spec.TaskTemplate.ContainerSpec?.Image
}

/**
 * Whether the engine has paused the update that wrote the spec.
 *
 * @param service The service.
 * @returns True for an update; false for a rollback that is paused.
 */
export function isPaused({ UpdateStatus }: Service): boolean {
  return UpdateStatus?.State === 'paused'
}

/**
 * Whether the service has its spec because an update was rolled back, or is being rolled back.
 *
 * @param service The service.
 * @returns True for a rollback by the engine and for one by hand, until the next write of the service.
 */
export function isRollback({ UpdateStatus }: Pick<Service, 'UpdateStatus'>): boolean {
  return UpdateStatus?.State?.startsWith('rollback_') === true
}
