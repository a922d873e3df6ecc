#!/usr/bin/env node
// The executable. It disables the inspector first, and sets the flags of V8 before it loads other modules,
// because loading alone would make the heap grow by 5 MiB permanently. Both are functions, because a
// bundler may remove imports without names.

import { disableInspectorSignal } from './process/no-inspector.ts'
import { keepHeapSmall } from './process/small-heap.ts'

disableInspectorSignal()
keepHeapSmall()

const { runCommand } = await import('./cli.ts')
runCommand({ argv: process.argv, env: process.env })
