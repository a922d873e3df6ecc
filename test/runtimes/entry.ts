// The behaviour suite as one module for any runtime: the default export is a fetch handler, which
// workerd serves, a request for each case; `runSuite` is what the others call.

import { suite } from '../behaviour/suite.ts'
import {
  deliveredSignatures,
  deployFromModuleScope,
  type ExecutionContext,
} from './module-scope.ts'

/** How the suite went. */
export interface SuiteResult {
  readonly passed: number
  /** The name of each case that failed, and why. */
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

/** One case by its place in the suite, or how many there are: each in a request of its own. */
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
