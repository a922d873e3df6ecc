// Makes V8 collect garbage early.

import { setFlagsFromString } from 'node:v8'

/**
 * Sets flags of V8. Deployer keeps little in memory, but by default V8 keeps the garbage of some thousand
 * requests: after 5,000 deployments, 75 MiB are resident with these flags and 102 without.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=20')
}
