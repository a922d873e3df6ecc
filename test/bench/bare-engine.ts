// The bare side of a deployment: the two engine calls that nobody can do without, and nothing else.

import { createHttpClient } from './http-client.ts'

/** One way to deploy. */
export interface Side {
  /** Makes a service run another image, and ends when the engine has accepted it. */
  deploy(service: string, image: string): Promise<void>
  close(): void
}

interface WireService {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly TaskTemplate: { readonly ContainerSpec: { Image: string } } }
}

/**
 * Makes the bare side, which calls the engine from this very process.
 *
 * @param socketPath The engine's socket.
 * @param connections How many connections to keep.
 * @returns The side.
 */
export function createBareEngine(socketPath: string, connections: number): Side {
  const client = createHttpClient({ target: { socketPath }, connections })

  async function deploy(service: string, image: string): Promise<void> {
    for (;;) {
      const inspected = await client.call('GET', `/services/${service}`)
      if (inspected.status !== 200) throw new Error(`Could not inspect: ${inspected.text}`)
      const { ID, Version, Spec }: WireService = JSON.parse(inspected.text)
      Spec.TaskTemplate.ContainerSpec.Image = image
      const path = `/services/${ID}/update?version=${Version.Index}`
      const updated = await client.call('POST', path, JSON.stringify(Spec))
      if (updated.status === 200) {
        JSON.parse(updated.text)
        return
      }
      if (!updated.text.includes('update out of sequence')) {
        throw new Error(`Could not update: ${updated.text}`)
      }
    }
  }

  return { deploy, close: client.close }
}
