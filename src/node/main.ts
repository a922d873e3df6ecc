#!/usr/bin/env node
// The executable. It disables the inspector first, and sets the flags of V8 before it loads other modules,
// because loading alone would make the heap grow by 5 MiB permanently.

import './process/no-inspector.ts'
import './process/small-heap.ts'

const { runCommand } = await import('./cli.ts')
runCommand({ argv: process.argv, env: process.env })
