// What the write of a deployment adds to the history of its service.

import type { Deployment } from '../deployment/deployment.ts'
import { readRecord } from '../deployment/deployment-record.ts'
import type { DeploymentHistory } from '../history/deployment-history.ts'
import { entryOf } from '../history/noted-deployment.ts'
import { templateFingerprint } from '../history/template-fingerprint.ts'
import type { Service, ServiceSpec } from '../swarm/service.ts'
import type { DeployRequest } from './deploy-request.ts'

/** What is noted of a deployment besides itself. */
export interface StartOptions {
  readonly request: DeployRequest
  /** The spec that was written. */
  readonly Spec: ServiceSpec
  readonly history: DeploymentHistory
}

/**
 * Notes that a deployment was written, with what only its request knows. Its end is noted later.
 *
 * @param deployment The deployment.
 * @param options The request, the spec, and the history.
 */
export function noteStart(deployment: Deployment, { request, Spec, history }: StartOptions): void {
  const { idempotencyFingerprint: key } = request
  const { caller, metadata } = request.origin
  const { service, serviceId } = deployment
  const { commit, run } = metadata
  history.note(
    { service, serviceId },
    {
      ...entryOf(deployment),
      kind: 'deploy',
      caller,
      template: templateFingerprint(Spec),
      ...(key === undefined ? {} : { key }),
      ...(commit === undefined ? {} : { commit }),
      ...(run === undefined ? {} : { run }),
    },
  )
}

/**
 * Notes what the record of a service had: the record of the next spec has no place for all of it.
 *
 * @param service The service before the write.
 * @param history The history.
 */
export function noteRecord({ ID: serviceId, Spec }: Service, history: DeploymentHistory): void {
  for (const { wrote: _, ...entry } of readRecord(Spec)) {
    history.note({ service: Spec.Name, serviceId }, entry)
  }
}
