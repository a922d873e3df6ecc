// Pure: the URL of a webhook. Values are inserted percent-encoded, and cannot change host or directory.

import type { MessageData, Renderer } from '../renderer.ts'

/** The URL that a template gives for an event, or why it must not be used. */
export type WebhookUrl = { readonly url: URL } | { readonly error: string }

/** What the URL of a template has in common for all events. */
interface UrlShape {
  readonly origin: string | undefined
  readonly endsInSlash: boolean
}

/** Every variable has a value. */
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
 * Checks a URL, or the template of one.
 *
 * @param template The URL, with or without `{{…}}`.
 * @returns The error, such as `it must begin with http:// or https://`; undefined when it is valid.
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
 * Checks the URL in the options of a webhook.
 *
 * @param url The URL, or its compiled template.
 * @returns The error; undefined when it is valid.
 */
export function webhookUrlError(url: string | Renderer): string | undefined {
  return typeof url === 'string' ? fixedUrlError(url) : compiledUrlError(url)
}

function fixedUrlError(url: string): string | undefined {
  return url.includes('{{') ? 'a template must be compiled first' : urlTemplateError(url)
}

function compiledUrlError(url: Renderer): string | undefined {
  return typeof url?.render === 'function'
    ? renderedUrlError(url.render(PROBE))
    : 'it must be a URL, or a template that was compiled'
}

/**
 * Creates the URL for an event. Every value is percent-encoded, and cannot change the host or the
 * directory, even if a server decodes the URL several times.
 *
 * @param url The URL, or its template.
 * @param data The values of the template's variables.
 * @returns The URL, or why it must not be used.
 */
export function webhookUrl(url: string | Renderer, data: MessageData): WebhookUrl {
  if (typeof url === 'string') {
    return { url: new URL(url) }
  }
  const probe = url.render(PROBE)
  const text = url.render(encodeData(data))
  const error =
    renderedUrlError(probe) ??
    renderedUrlError(text, {
      origin: originOf(probe),
      endsInSlash: segmentsOf(probe).at(-1) === '',
    })
  return error === undefined ? { url: new URL(text) } : { error }
}

/** `shape` is that of the URL when every variable has a value. */
function renderedUrlError(text: string, shape?: UrlShape): string | undefined {
  const error = urlTemplateError(text)
  if (error !== undefined) {
    return error
  }
  if (shape !== undefined && originOf(text) !== shape.origin) {
    return 'a value leads to another host'
  }
  const segments = segmentsOf(text)
  const mayEndInSlash = shape?.endsInSlash ?? true
  const named = mayEndInSlash && segments.at(-1) === '' ? segments.slice(0, -1) : segments
  return named.some(changesDirectory)
    ? 'a segment of its path is empty, "." or "..", perhaps once it is decoded'
    : undefined
}

/**
 * Servers and proxies decode a path before they match it, some of them twice: nginx reads `..%2Fadmin`
 * as `../admin`. Some treat `\` as `/`, others drop the text after `;`. A value may contain a `/`, as an
 * image does, if it contains other text too.
 */
function changesDirectory(segment: string): boolean {
  const names = decodeFully(segment)
    .split(/[/\\]/)
    .map((name) => name.replace(/;.*$/s, '').replace(/[\s\p{Cc}]+/gu, ''))
  return names.every((name) => name === '') || names.some((name) => name === '.' || name === '..')
}

/** Decodes ASCII characters until none is encoded any more, in one pass. */
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

/** From the text, because a URL object has resolved `..` already. */
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

/** The names of metadata come from callers too; those that a template can name need no encoding. */
function encodeValues<T extends Readonly<Record<string, string>>>(texts: T): T {
  const encoded = Object.entries(texts).map(([name, text]) => [encode(name), encode(text)])
  return Object.fromEntries(encoded) as T
}

/** A lone surrogate cannot be encoded. */
function encode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
}
