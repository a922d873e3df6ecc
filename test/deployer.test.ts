// The behaviour suite on this Node; `npm run test:runtimes` runs it on the others.

import { test } from 'vitest'
import { suite } from './behaviour/suite.ts'

for (const { name, run } of suite) {
  test(name, run)
}
