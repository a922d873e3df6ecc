// The engine calls of a deployment without Deployer: the three calls that are necessary to update a
// service to an image with a digest.

import { createHttpClient } from './http-client.ts'

/** A way to deploy. */
export interface Side {
  /** Updates a service to an image; resolves when the engine has accepted the update. */
  deploy(service: string, image: string): Promise<void>
  close(): void
}

interface WireService {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: {
    readonly TaskTemplate: {
      readonly ContainerSpec: { Image: string }
      Placement?: { Platforms?: readonly object[] }
    }
  }
}

interface WireDistribution {
  readonly Descriptor: { readonly digest: string }
  readonly Platforms: readonly { readonly architecture: string; readonly os: string }[]
}

/**
 * Creates a side that calls the engine from this process.
 *
 * @param socketPath The engine's socket.
 * @param connections Number of connections.
 * @returns The side.
 */
export function createBareEngine(socketPath: string, connections: number): Side {
  const client = createHttpClient({ target: { socketPath }, connections })

  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await client.call(method, path, body && JSON.stringify(body))
    if (status !== 200) throw new Error(`Could not ${method} ${path}: ${text}`)
    return JSON.parse(text)
  }

  async function deploy(service: string, image: string): Promise<void> {
    const { ID, Version, Spec } = await call<WireService>('GET', `/services/${service}`)
    const path = `/distribution/${image}/json`
    const { Descriptor, Platforms } = await call<WireDistribution>('GET', path)
    const { TaskTemplate } = Spec
    TaskTemplate.ContainerSpec.Image = `${image}@${Descriptor.digest}`
    const platforms = Platforms.map(({ architecture, os }) => ({
      Architecture: architecture,
      OS: os,
    }))
    TaskTemplate.Placement = { ...TaskTemplate.Placement, Platforms: platforms }
    await call('POST', `/services/${ID}/update?version=${Version.Index}`, Spec)
  }

  return { deploy, close: client.close }
}
