// The behaviour suite on this Node; `npm run test:runtimes` runs it on the others. Most cases wait for
// timers, so many run at the same time.

import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { test } from 'vitest'
import { separateHarnesses } from './behaviour/harness.ts'
import { suite } from './behaviour/suite.ts'

const currentCase = new AsyncLocalStorage<Set<AbortController>>()
separateHarnesses(() => currentCase.getStore())

for (const { name, run } of suite) {
  test.concurrent(name, async () => {
    // Cases that need no timer would otherwise follow each other in microtasks, and for seconds no
    // timer of the others would fire.
    await setImmediate()
    await currentCase.run(new Set(), run)
  })
}
