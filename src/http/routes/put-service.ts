// `PUT /service/:name`: deploys an image to a service.

import type { Context } from 'hono'
import { newMessageId } from '../../notification/deployment-event.ts'
import { type KnownDeployment, outcomeOf } from '../../rollout/known-deployment.ts'
import { type DeployTools, deploy } from '../../update/deploy.ts'
import { dryRunReport } from '../../update/dry-run.ts'
import { createIdempotencyKeys, fingerprintOf } from '../../update/idempotency.ts'
import { planDryRun } from '../../update/update-plan.ts'
import type { AuthEnv } from '../auth.ts'
import { readDeployRequestBody } from '../deploy-request-body.ts'
import type { DeploymentResponder } from '../deployment-responder.ts'
import { serviceNameOf } from '../paths.ts'
import { checkQueryNames, readDryRun, readWait } from '../query.ts'
import { readIdempotencyKey, readRegistryAuth } from '../request-headers.ts'
import type { LogEnv, LogFields } from '../request-log.ts'
import { rethrow } from '../rethrow.ts'

interface Accepted {
  readonly id: string
  readonly warnings: readonly string[]
}

/**
 * Creates the handler.
 *
 * @param tools The dependencies of a deployment.
 * @param responder Responds with the deployment.
 * @returns A named Hono handler.
 */
export function putService(
  tools: DeployTools,
  responder: DeploymentResponder,
): (c: Context<AuthEnv & LogEnv>) => Promise<Response> {
  const keys = createIdempotencyKeys<Accepted>()
  return function putService(c) {
    return responder.withPlace(c, async (place) => {
      checkQueryNames(c)
      const waitMs = readWait(c)
      const isDryRun = readDryRun(c)
      const registryAuth = readRegistryAuth(c)
      const key = readIdempotencyKey(c)
      const body = await readDeployRequestBody(c)
      const service = serviceNameOf(c)
      c.var.deployerLogFields.image = body.image?.given ?? ''
      const { metadata, ...members } = body
      const origin = { messageId: newMessageId(), caller: c.var.deployerCaller, metadata }
      const request = { service, registryAuth, origin, ...members }
      if (isDryRun) {
        c.var.deployerLogFields.dryRun = true
        return c.json(dryRunReport(request, await planDryRun(request, tools).catch(rethrow)))
      }
      const accept = async (idempotencyFingerprint?: string): Promise<Accepted> => {
        const { deployment, warnings } = await deploy(
          { ...request, idempotencyFingerprint },
          tools,
        ).catch(rethrow)
        return { id: deployment.id, warnings }
      }
      const { image, expect, force, resume } = body
      // Without "resume" the fingerprint is that of earlier versions, so that keys survive an upgrade.
      const values = [image?.given, expect?.given, force, ...(resume ? [resume] : [])]
      const fingerprint = key === undefined ? undefined : await fingerprintOf(key, values)
      const accepted =
        fingerprint === undefined
          ? accept()
          : keys.once(service, fingerprint, () => accept(fingerprint))
      const { id, warnings } = await accepted.finally(() => responder.keepAlive(c))
      const opened = await responder.open(id)
      c.var.deployerLogAccepted(logFields(opened.known))
      return responder.respond(c, opened, { waitMs, warnings, verdictBeforeEnd: 'accepted', place })
    })
  }
}

function logFields(known: KnownDeployment): LogFields {
  const { id, deployment } = known
  const { service, serviceId, image, resolved, previous } = deployment
  const verdict = outcomeOf(known)?.verdict ?? 'accepted'
  return { service, serviceId, image, resolved, previous, verdict, deploymentId: id }
}
