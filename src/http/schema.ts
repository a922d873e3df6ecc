// The type of the app: its routes, as Hono's client `hc` reads them. They are declared by hand, because
// `isolatedDeclarations` allows no inferred type. Everything up to an endpoint is a `type`: a client of
// an `interface`, which has no index signature, is `unknown`.

import type { Env, Hono } from 'hono'
import type { DryRunReport } from '../update/dry-run.ts'
import type { DeploymentReport } from './deployment-response.ts'
import type { HistoryReport } from './history-report.ts'
import type { ProblemDocument } from './problem.ts'
import type { ServiceStatus } from './service-status.ts'

/** The app that `createDeployer` returns. `hc<DeployerApp>(url)` is a typed client of it. */
export type DeployerApp = Hono<Env, DeployerSchema, '/'>

/** The routes of the app: path, method, input, and what each status responds with. */
export type DeployerSchema = {
  '/service/:name': {
    $get:
      | Endpoint<ServiceInput, 200, ServiceStatus>
      | Endpoint<ServiceInput, 401 | 404 | 500 | 502 | 503, ProblemDocument>
    $put:
      | Endpoint<DeployInput, 200, DeploymentReport | DryRunReport>
      | Endpoint<DeployInput, 400 | 401 | 403 | 404 | 413 | 422 | 500 | 502 | 503, ProblemDocument>
      | Endpoint<DeployInput, 409, ProblemDocument & Partial<DeploymentReport>>
      | Endpoint<DeployInput, 410 | 424 | 504, DeploymentProblem>
  }
  '/service/:name/history': {
    $get:
      | Endpoint<ServiceInput, 200, HistoryReport>
      | Endpoint<ServiceInput, 401 | 404 | 500 | 502 | 503, ProblemDocument>
  }
  '/services': {
    $get:
      | Endpoint<NoInput, 200, readonly ServiceStatus[]>
      | Endpoint<NoInput, 401 | 500 | 502 | 503, ProblemDocument>
  }
  '/deployments/:id': {
    $get:
      | Endpoint<DeploymentInput, 200, DeploymentReport>
      | Endpoint<DeploymentInput, 400 | 401 | 404 | 500 | 502 | 503, ProblemDocument>
      | Endpoint<DeploymentInput, 409 | 410 | 424 | 504, DeploymentProblem>
  }
  '/healthz': {
    $get: Endpoint<NoInput, 200, 'ok\n', 'text'>
  }
}

/** The problem document of a deployment: it has all members of the report too. */
export type DeploymentProblem = ProblemDocument & DeploymentReport

/** The JSON body of `PUT /service/:name`. */
export type DeployBody = {
  /** The image to deploy, such as `name:tag`; it may be absent with `force`. */
  image?: string
  /** The image that the service must have before. */
  expect?: string
  /** Replaces the tasks even when the image stays the same. Default: false. */
  force?: boolean
  /** Continues a paused update to the same image. Default: false. */
  resume?: boolean
  /** Strings for the messages about the deployment, such as a commit. */
  metadata?: Record<string, string>
}

type NoInput = Record<never, never>

type ServiceInput = { param: { name: string } }

type DeployInput = ServiceInput & {
  json: DeployBody
  query?: { wait?: string; dryRun?: 'true' | 'false' }
  header?: { 'Idempotency-Key'?: string; 'X-Registry-Auth'?: string }
}

type DeploymentInput = { param: { id: string }; query?: { wait?: string } }

/** One member of the union for each status, so that a client can distinguish them by `status`. */
type Endpoint<Input, Status, Output, Format = 'json'> = Status extends number
  ? { input: Input; output: Output; outputFormat: Format; status: Status }
  : never
