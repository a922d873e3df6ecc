// Manifests that Docker 20.10 cannot create, such as images for other platforms, pushed with the API of
// the registry.

import { createHash } from 'node:crypto'

/** A platform, with the member names of manifests. */
export interface ImagePlatform {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
}

/** A descriptor (OCI image specification). */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

/** The members of a manifest that are read here. */
interface Manifest {
  readonly config: Descriptor
}

async function readJson<T>(url: string, headers: Record<string, string> = {}): Promise<T> {
  return JSON.parse(await (await call(url, { headers })).text())
}

async function call(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) })
  if (!response.ok) {
    const what = `${init.method ?? 'GET'} ${url}`
    throw new Error(`Could not ${what}: ${response.status} ${await response.text()}`)
  }
  return response
}

async function putManifest(
  repository: string,
  tag: string,
  { mediaType, text }: { readonly mediaType: string; readonly text: string },
): Promise<Descriptor> {
  const headers = { 'content-type': mediaType }
  await call(`${repository}/manifests/${tag}`, { method: 'PUT', headers, body: text })
  return { mediaType, digest: digestOf(text), size: Buffer.byteLength(text) }
}

/**
 * Pushes a copy of an image with another platform in its configuration.
 *
 * @param address The registry, `127.0.0.1:PORT`.
 * @param name The existing image, as in `lab/app:v1`.
 * @param as The tag, in the same repository, and the platform of the copy.
 * @returns Its descriptor for a manifest list.
 */
export async function pushForPlatform(
  address: string,
  name: string,
  as: { readonly tag: string; readonly platform: ImagePlatform },
): Promise<Descriptor> {
  const [path, tag] = name.split(':')
  const repository = `http://${address}/v2/${path}`
  const manifest = await readJson<Manifest>(`${repository}/manifests/${tag}`, { accept: MANIFEST })
  const image = await readJson<object>(`${repository}/blobs/${manifest.config.digest}`)
  const config = JSON.stringify({ ...image, ...as.platform })
  const digest = digestOf(config)
  const upload = await call(`${repository}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(upload.headers.get('location') ?? '', repository)
  location.searchParams.set('digest', digest)
  await call(location.href, { method: 'PUT', body: config })
  const size = Buffer.byteLength(config)
  const text = JSON.stringify({ ...manifest, config: { ...manifest.config, digest, size } })
  return putManifest(repository, as.tag, { mediaType: MANIFEST, text })
}

/**
 * Pushes a manifest list: one image for several platforms.
 *
 * @param address The registry, `127.0.0.1:PORT`.
 * @param name The list's name and tag.
 * @param entries The images, all in the same repository, each with its platform.
 * @returns Its descriptor.
 */
export function pushList(
  address: string,
  name: string,
  entries: readonly (Descriptor & { readonly platform: ImagePlatform })[],
): Promise<Descriptor> {
  const [path, tag = ''] = name.split(':')
  const text = JSON.stringify({ schemaVersion: 2, mediaType: LIST, manifests: entries })
  return putManifest(`http://${address}/v2/${path}`, tag, { mediaType: LIST, text })
}

/**
 * Pushes copies of an image under other tags, without the engine.
 *
 * @param address The registry, `127.0.0.1:PORT`.
 * @param name The existing image, as in `lab/app:v1`.
 * @param tags The new tags. Each gets its own digest, since the manifests differ in white space.
 */
export async function pushCopies(
  address: string,
  name: string,
  tags: readonly string[],
): Promise<void> {
  const [path, tag] = name.split(':')
  const repository = `http://${address}/v2/${path}`
  const headers = { accept: MANIFEST }
  const text = await (await call(`${repository}/manifests/${tag}`, { headers })).text()
  for (const [index, copy] of tags.entries()) {
    const spaced = text + ' '.repeat(index + 1)
    await putManifest(repository, copy, { mediaType: MANIFEST, text: spaced })
  }
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
