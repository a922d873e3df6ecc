// The bare side of a deployment: the three engine calls that nobody can do without who pins the image
// to a digest, and nothing else.

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
 * Makes the bare side, which calls the engine from this very process.
 *
 * @param socketPath The engine's socket.
 * @param connections How many connections to keep.
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
