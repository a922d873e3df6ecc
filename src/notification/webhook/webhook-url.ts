// Pure: where a webhook goes. Values come into its URL percent-encoded, and none can lead elsewhere.

import type { MessageData, Renderer } from '../renderer.ts'

/** The URL that a template gives for an event, or why that is not to be used. */
export type WebhookUrl = { readonly url: URL } | { readonly fault: string }

interface Usual {
  readonly origin: string | undefined
  readonly endsInSlash: boolean
}

/** Every variable has a value, whatever the name. */
const PROBE: MessageData = {
  ...{ Artifact: 'x', Caller: 'x', DeploymentID: 'x', Digest: 'x', Duration: 'x', EndedAt: 'x' },
  ...{ Error: 'x', Event: 'accepted', MessageID: 'x', Previous: 'x', ServiceID: 'x' },
  ...{ ServiceName: 'x', StartedAt: 'x' },
  Meta: new Proxy<Record<string, string>>(
    {},
    {
      get: () => 'x',
      has: () => true,
      getOwnPropertyDescriptor: () => ({ value: 'x', configurable: true, enumerable: true }),
    },
  ),
}

/**
 * Tells what is wrong with a URL, or with a template of one.
 *
 * @param template The URL, perhaps with `{{…}}`.
 * @returns What is wrong with it, such as `it must begin with http:// or https://`; undefined when
 *   nothing is.
 */
export function urlTemplateError(template: string): string | undefined {
  const [fixed = '', ...rest] = template.split('{{')
  if (/[\s\p{Cc}\\]/u.test(template.replace(/\{\{.*?\}\}/gs, ''))) {
    return 'it must not have white space, control characters or backslashes'
  }
  if (!/^https?:\/\//i.test(fixed)) {
    return 'it must begin with http:// or https://'
  }
  if (rest.length > 0 && !/^https?:\/\/[^/?#]+\//i.test(fixed)) {
    return 'a variable must come after the host and a /'
  }
  if (!URL.canParse(fixed)) {
    return 'it is no URL'
  }
  const { username, password } = new URL(fixed)
  return username === '' && password === ''
    ? undefined
    : 'it must not have credentials: send an Authorization header'
}

/**
 * Tells what is wrong with the URL of a webhook's options.
 *
 * @param url The URL, or its template, compiled.
 * @returns What is wrong with it; undefined when nothing is.
 */
export function webhookUrlFault(url: string | Renderer): string | undefined {
  return typeof url === 'string' ? fixedUrlFault(url) : compiledUrlFault(url)
}

function fixedUrlFault(url: string): string | undefined {
  return url.includes('{{') ? 'a template must be compiled first' : urlTemplateError(url)
}

function compiledUrlFault(url: Renderer): string | undefined {
  return typeof url?.render === 'function'
    ? renderedFault(url.render(PROBE))
    : 'it must be a URL, or a template that was compiled'
}

/**
 * Makes the URL for an event. Every value is percent-encoded, and none can lead to another host or
 * to another directory, even where a server decodes it, once or more often.
 *
 * @param url The URL, or its template.
 * @param data The values of the template's variables.
 * @returns The URL, or what is wrong with it.
 */
export function webhookUrl(url: string | Renderer, data: MessageData): WebhookUrl {
  if (typeof url === 'string') {
    return { url: new URL(url) }
  }
  const usual = url.render(PROBE)
  const text = url.render(encodeData(data))
  const fault =
    renderedFault(usual) ??
    renderedFault(text, { origin: originOf(usual), endsInSlash: segmentsOf(usual).at(-1) === '' })
  return fault === undefined ? { url: new URL(text) } : { fault }
}

/** `usual` tells where the template leads, and to what kind of path, when every value is there. */
function renderedFault(text: string, usual?: Usual): string | undefined {
  const fault = urlTemplateError(text)
  if (fault !== undefined) {
    return fault
  }
  if (usual !== undefined && originOf(text) !== usual.origin) {
    return 'a value leads to another host'
  }
  const segments = segmentsOf(text)
  const mayEndInSlash = usual?.endsInSlash ?? true
  const named = mayEndInSlash && segments.at(-1) === '' ? segments.slice(0, -1) : segments
  return named.some(leadsElsewhere)
    ? 'a segment of its path is empty, "." or "..", perhaps once it is decoded'
    : undefined
}

/**
 * Servers and proxies decode a path before they match it, some of them twice: nginx takes `..%2Fadmin`
 * for `../admin`. A `\` is a `/` to some, and what follows a `;` is dropped by others. A value may hold
 * a `/` (an image does) as long as it is more than that.
 */
function leadsElsewhere(segment: string): boolean {
  const names = decodeFully(segment)
    .split(/[/\\]/)
    .map((name) => name.replace(/;.*$/s, '').replace(/[\s\p{Cc}]+/gu, ''))
  return names.every((name) => name === '') || names.some((name) => name === '.' || name === '..')
}

/** Decodes ASCII characters until none is left to decode, in one pass. */
function decodeFully(text: string): string {
  const decoded: string[] = []
  for (const character of text) {
    decoded.push(character)
    for (let code = codeAtEnd(decoded); code !== undefined; code = codeAtEnd(decoded)) {
      decoded.splice(-3, 3, String.fromCharCode(code))
    }
  }
  return decoded.join('')
}

function codeAtEnd(characters: readonly string[]): number | undefined {
  const [, digits] = /^%([0-7][0-9a-f])$/i.exec(characters.slice(-3).join('')) ?? []
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

/** The path as it is written: a URL object has resolved `..` already. */
function segmentsOf(text: string): readonly string[] {
  const path = /^https?:\/\/[^/?#]*\/?([^?#]*)/i.exec(text)?.[1] ?? ''
  return path.split('/')
}

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined
}

function encodeData({ Event, Meta, ...texts }: MessageData): MessageData {
  return { ...encodeValues(texts), Event, Meta: encodeValues(Meta) }
}

/** Names of metadata are callers' too, but those that a template can name stay what they are. */
function encodeValues<T extends Readonly<Record<string, string>>>(texts: T): T {
  const encoded = Object.entries(texts).map(([name, text]) => [encode(name), encode(text)])
  return Object.fromEntries(encoded) as T
}

/** Half a surrogate pair cannot be encoded. */
function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
}
