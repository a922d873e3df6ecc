// The subcommand `healthcheck`: asks a running Deployer whether it responds, for containers without curl.

import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { HEALTH_PATH } from '../http/paths.ts'
import { errorMessage } from '../text/error-message.ts'
import { endProcess } from './process/end-process.ts'
import { type Address, formatAddress } from './settings/address.ts'
import { readBind } from './settings/bind.ts'
import type { Flags } from './settings/setting-list.ts'
import { createSettingSource } from './settings/setting-source.ts'
import { createSettingsIssues } from './settings/settings-issue.ts'

// The process has to end within 3 s, the start of Node included.
const TIMEOUT_MS = 2500
const PROCESS_ENDS_WITHIN_MS = 2600

/**
 * Checks the health of the Deployer that listens at the address in `BIND`, and ends the process: with
 * status 0 if the response is 200, otherwise with status 1 and the reason on standard error.
 *
 * @param flags The flags of the command line.
 * @param options The environment.
 */
export async function runHealthCheck(
  flags: Flags,
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  const deadline = performance.now() + PROCESS_ENDS_WITHIN_MS
  const issues = createSettingsIssues()
  const readFile = (path: string): string => readFileSync(path, 'utf8')
  const bind = readBind(createSettingSource(flags, { env, readFile, issues }))
  const reason =
    bind === undefined
      ? issues.errors.map(({ setting, reason }) => `${setting} ${reason}`).join('; ')
      : await checkHealth(bind)
  if (reason !== undefined) {
    process.stderr.write(`deployer: the health check failed: ${reason}\n`)
  }
  await endProcess(reason === undefined ? 0 : 1, { deadline })
}

/**
 * Requests `GET /healthz`.
 *
 * @param bind The address that a Deployer on this machine listens at.
 * @param options How long the request may take, in milliseconds. Default: 2.5 s.
 * @returns Undefined if the response is 200; otherwise the reason.
 */
export async function checkHealth(
  bind: Address,
  { timeoutMs = TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<string | undefined> {
  if (bind.port === 0) {
    return 'BIND has port 0, so the port of the running Deployer is unknown: set BIND to a fixed port'
  }
  const host = reachableHost(bind.host)
  const url = `http://${formatAddress({ host, port: bind.port })}${HEALTH_PATH}`
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const status = await requestStatus({ host, port: bind.port }, signal)
    return status === 200 ? undefined : `GET ${url} returned status ${status} instead of 200`
  } catch (error) {
    return signal.aborted
      ? `GET ${url} was not answered within ${timeoutMs / 1000} s`
      : `GET ${url} failed: ${errorMessage(error)}`
  }
}

/**
 * An address of this machine for a wildcard address. Node accepts IPv4 on an IPv6 wildcard address too,
 * and a container may have no IPv6 loopback address.
 */
function reachableHost(host: string): string {
  return /^[0:.]*$/.test(host) ? '127.0.0.1' : host
}

/** `node:http` rather than `fetch`, because `fetch` can use a proxy and follows redirects. */
function requestStatus({ host, port }: Address, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host, port, path: HEALTH_PATH, agent: false, signal }, (response) => {
      response.destroy()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}
