#!/usr/bin/env node
// The entry. The heap is made small before anything else is loaded: loading alone would let it grow by
// 5 MiB for good.

import './small-heap.ts'

const { runCommand } = await import('./cli.ts')
runCommand({ argv: process.argv, env: process.env })
