// The behaviour suite as one module for any runtime. The default export is a fetch handler for workerd, with
// one request for each case; other runtimes call `runSuite`.

import { suite } from '../behaviour/suite.ts'
import {
  deliveredSignatures,
  deployFromModuleScope,
  type ExecutionContext,
} from './module-scope.ts'

/** The result of the suite. */
export interface SuiteResult {
  readonly passed: number
  /** The name of each failed case, with its error. */
  readonly failures: readonly string[]
}

export async function runSuite(): Promise<SuiteResult> {
  const failures: string[] = []
  for (const { name, run } of suite) {
    try {
      await run()
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { passed: suite.length - failures.length, failures }
}

/** Runs the case with the number in the path; without a number, responds with the names of all cases. */
async function answer(
  request: Request,
  _bindings: unknown,
  context: ExecutionContext,
): Promise<Response> {
  const place = new URL(request.url).pathname.slice(1)
  if (place === 'module-scope/deploy') {
    return deployFromModuleScope(context)
  }
  if (place === 'module-scope/delivered') {
    return Response.json(deliveredSignatures())
  }
  const wanted = suite[Number(place)]
  if (place === '' || wanted === undefined) {
    return Response.json({ names: suite.map(({ name }) => name) })
  }
  try {
    await wanted.run()
    return Response.json({})
  } catch (error) {
    return Response.json({ failed: error instanceof Error ? error.message : String(error) })
  }
}

const handler: { readonly fetch: typeof answer } = { fetch: answer }

export default handler
