// `GET /deployments/:id`: the verdict of a deployment, or its progress.

import type { Context } from 'hono'
import type { DeploymentResponder } from '../deployment-responder.ts'
import { deploymentIdOf } from '../paths.ts'
import { checkQueryNames, readWait } from '../query.ts'

/**
 * Creates the handler.
 *
 * @param responder Responds with the deployment.
 * @returns A named Hono handler.
 */
export function getDeployment(responder: DeploymentResponder): (c: Context) => Promise<Response> {
  return function getDeployment(c) {
    return responder.withPlace(c, async (place) => {
      checkQueryNames(c)
      const waitMs = readWait(c)
      const opened = await responder.open(deploymentIdOf(c))
      return responder.respond(c, opened, {
        waitMs,
        warnings: [],
        verdictBeforeEnd: 'pending',
        place,
      })
    })
  }
}
