// Runs curl, which callers use.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** A response. */
export interface CurlAnswer {
  readonly status: number
  readonly body: Record<string, unknown>
  /** Response headers with lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Runs curl.
 *
 * @param args The arguments of curl, including the URL.
 * @returns The response; rejects if curl fails.
 */
export async function curl(...args: readonly string[]): Promise<CurlAnswer> {
  const { stdout } = await promisify(execFile)('curl', ['-s', '-S', '-i', ...args])
  const [head = '', ...rest] = stdout.split('\r\n\r\n').filter((part) => !/^HTTP\S+ 100/.test(part))
  const [statusLine = '', ...lines] = head.split('\r\n')
  const body = rest.join('\r\n\r\n')
  return {
    status: Number(statusLine.split(' ')[1]),
    body: body === '' ? {} : JSON.parse(body),
    headers: Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    ),
  }
}
