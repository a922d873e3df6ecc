// The behaviour suite of the portable core: plain cases, run by vitest and by every other runtime.

import { deployments } from './deployments.ts'
import { embedding } from './embedding.ts'
import type { Case } from './harness.ts'
import { refusals } from './refusals.ts'

export const suite: readonly Case[] = [...deployments, ...refusals, ...embedding]
