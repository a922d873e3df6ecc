#!/usr/bin/env node
// The entry. The inspector is kept shut before anything else happens. The heap is made small before
// anything else is loaded: loading alone would let it grow by 5 MiB for good.

import './process/no-inspector.ts'
import './process/small-heap.ts'

const { runCommand } = await import('./cli.ts')
runCommand({ argv: process.argv, env: process.env })
