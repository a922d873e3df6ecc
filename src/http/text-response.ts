// Responses as plain text, for people who read the output of a CI job.

import type { MiddlewareHandler } from 'hono'
import { prefersText } from './accept.ts'
import type { DeploymentReport } from './deployment-response.ts'
import type { HistoryDeployment, HistoryReport } from './history-report.ts'

// Colours and cursor movements of a terminal (ECMA-48 control sequences).
const CONTROL_SEQUENCE = /[^\P{Cc}\t]\[[0-?]*[ -/]*[@-~]/gu

/**
 * Middleware that turns a JSON response into plain text when the caller prefers that. The status and the
 * headers stay. Streams of events are not changed.
 *
 * @returns A named Hono middleware.
 */
export function textResponse(): MiddlewareHandler {
  return async function textResponse(c, next) {
    await next()
    const { res } = c
    if (!prefersText(c.req.header('Accept')) || !isJson(res)) {
      return
    }
    const headers = new Headers(res.headers)
    headers.set('Content-Type', 'text/plain; charset=utf-8')
    const body = (await res.json()) as Body | HistoryReport
    const text = isHistory(body) ? historyText(body) : responseText(body)
    // Hono would add the headers of the response that it has to those of the new one.
    c.res = undefined
    c.res = new Response(text, { status: res.status, headers })
  }
}

function isJson({ headers }: Response): boolean {
  return /^application\/(?:problem\+)?json/.test(headers.get('Content-Type') ?? '')
}

/** A body of the API: a deployment, a dry run, a problem document, or a problem with a deployment. */
type Body = Partial<DeploymentReport> & Readonly<Record<string, unknown>>

/**
 * Writes the body of a response as text.
 *
 * @param body The body, as JSON has it.
 * @returns Lines. The first one has the verdict, or the title of the problem; the last one has the
 *   deployment's ID, or the code of the problem.
 */
export function responseText(body: Body): string {
  const { verdict, deploymentId, title, code, dryRun } = body
  const headline = verdict ?? (dryRun === true ? dryRunVerdict(body) : undefined)
  const lines = [
    headline === undefined ? line(title) : `${line(headline)}: ${subject(body)}`,
    ...optional(body.detail ?? body.message ?? body.reason),
    ...(dryRun === true ? [`from ${line(body.from)}`, `to ${line(body.to)}`] : []),
    ...(body.tasks ?? []).flatMap(taskLines),
    ...optional(body.logsWithheld),
    ...(body.warnings ?? []).map((warning) => `warning: ${line(warning)}`),
    ...(headline === undefined ? [`code: ${line(code)}`] : []),
    ...(deploymentId === undefined ? [] : [`deployment: ${line(deploymentId)}`]),
  ]
  return `${lines.join('\n')}\n`
}

function isHistory(body: Body | HistoryReport): body is HistoryReport {
  return Array.isArray(body.deployments)
}

/**
 * Writes the history of a service as text.
 *
 * @param report The history, as JSON has it.
 * @returns One line for each deployment, newest first; the error of one follows on a line of its own.
 */
export function historyText({ service, deployments }: HistoryReport): string {
  const lines = [
    `service ${line(service)}: ${deployments.length} deployments`,
    ...deployments.flatMap((one) => [historyLine(one), ...optional(one.error).map(indented)]),
  ]
  return `${lines.join('\n')}\n`
}

function historyLine({ verdict, kind, caller, image, ...one }: HistoryDeployment): string {
  const isOutside = kind === 'outside'
  const headline = verdict ?? (isOutside ? 'outside' : 'pending')
  const who = isOutside || caller === '' ? '' : ` by ${line(caller)}`
  const more = [
    ...optional(one.commit).map((commit) => `, commit ${commit}`),
    ...optional(one.run).map((run) => `, run ${run}`),
  ]
  const start = `${line(headline)}: ${line(one.startedAt)}${who}, image ${line(image)}`
  return `${start}${more.join('')}, deployment ${line(one.deploymentId)}`
}

function indented(text: string): string {
  return `    ${text}`
}

function dryRunVerdict({ wouldUpdate }: Body): string {
  return wouldUpdate === true ? 'dry run, would update' : 'dry run, would not update'
}

function subject({ service, image }: Body): string {
  return `service ${line(service)}, image ${line(image)}`
}

function taskLines(task: NonNullable<Body['tasks']>[number]): readonly string[] {
  const { slot, node, state, error, exitCode, log } = task
  const where = [
    ...(slot === undefined ? ['task'] : [`task ${slot}`]),
    ...(node === '' ? [] : [`on ${line(node)}`]),
  ]
  const facts = [
    line(state),
    ...optional(error),
    ...(exitCode === undefined ? [] : [`exit code ${exitCode}`]),
  ]
  return [`${where.join(' ')}: ${facts.join(', ')}`, ...logLines(log)]
}

/** The bar keeps a line of a container from being a command to the CI, such as GitHub's `::stop::`. */
function logLines(log: string | undefined): readonly string[] {
  const lines = log?.replace(/\r?\n$/, '').split(/\r?\n/) ?? []
  return lines.map((text) => `    | ${printable(text)}`)
}

function optional(value: unknown): readonly string[] {
  return value === undefined || value === '' ? [] : [line(value)]
}

/** One line, even when the text has line breaks. */
function line(value: unknown): string {
  return printable(String(value ?? '').replace(/\s*[\r\n]\s*/g, ' '))
}

/** Without what would change the state of a terminal. */
function printable(text: string): string {
  return text.replace(CONTROL_SEQUENCE, '').replace(/[^\P{Cc}\t]/gu, '\u{fffd}')
}
