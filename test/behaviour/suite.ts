// The behaviour suite of the portable core: plain cases, run by vitest and by every other runtime.

import { byId } from './by-id.ts'
import { deployments } from './deployments.ts'
import { embedding } from './embedding.ts'
import { events } from './events.ts'
import { type Case, stopHarnesses } from './harness.ts'
import { health } from './health.ts'
import { history } from './history.ts'
import { historyModes } from './history-modes.ts'
import { idempotency } from './idempotency.ts'
import { joining } from './joining.ts'
import { logLines } from './log-lines.ts'
import { notifications } from './notifications.ts'
import { paused } from './paused.ts'
import { plainText } from './plain-text.ts'
import { predecessors, twoProcesses } from './predecessors.ts'
import { progress } from './progress.ts'
import { queue } from './queue.ts'
import { registryAuth } from './registry-auth.ts'
import { rejections } from './rejections.ts'
import { requestOptions } from './request-options.ts'
import { resolution } from './resolution.ts'
import { restarts } from './restarts.ts'
import { status } from './status.ts'
import { verdicts } from './verdicts.ts'
import { waiting } from './waiting.ts'

const cases: readonly Case[] = [
  ...deployments,
  ...rejections,
  ...embedding,
  ...verdicts,
  ...waiting,
  ...byId,
  ...queue,
  ...predecessors,
  ...twoProcesses,
  ...history,
  ...historyModes,
  ...idempotency,
  ...joining,
  ...logLines,
  ...paused,
  ...resolution,
  ...registryAuth,
  ...requestOptions,
  ...events,
  ...progress,
  ...plainText,
  ...status,
  ...health,
  ...notifications,
  ...restarts,
]

export const suite: readonly Case[] = cases.map(({ name, run }) => ({
  name,
  async run() {
    try {
      await run()
    } finally {
      stopHarnesses()
    }
  },
}))
