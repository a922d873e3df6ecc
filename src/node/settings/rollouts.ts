// Settings of rollouts: `RESOLVE_IMAGE`, `FOREIGN_REGISTRY`, `ROLLOUT_TIMEOUT`, `EVIDENCE_LOGS`.

import { parseDuration } from '../../text/duration.ts'
import type { ResolveImage } from '../../update/image-resolution.ts'
import type { ForeignRegistry } from '../../update/registry-credentials.ts'
import type { SettingSource } from './setting-source.ts'
import { shown } from './settings-issue.ts'

/** How services are updated and how rollouts are followed. */
export interface RolloutSettings {
  /** Whether tags are resolved and pinned to digests. */
  readonly resolveImage: ResolveImage
  /** What happens to stored credentials when an image comes from another registry than before. */
  readonly foreignRegistry: ForeignRegistry
  /** How long a rollout may take, in milliseconds. */
  readonly rolloutTimeoutMs: number
  /** Whether the response for a failed rollout shows the last log lines of its tasks. */
  readonly evidenceLogs: boolean
}

const RESOLVE_IMAGE: readonly ResolveImage[] = ['auto', 'require', 'never']
const FOREIGN_REGISTRY: readonly ForeignRegistry[] = ['clear', 'keep']
const MIN_ROLLOUT_MS = 1000
const MAX_ROLLOUT_MS = 86_400_000

/**
 * Reads and checks the settings of rollouts.
 *
 * @param source The source of the settings.
 * @returns The settings; undefined, with errors among the issues, if one cannot be used.
 */
export function readRollouts(source: SettingSource): RolloutSettings | undefined {
  const resolveImage = readResolveImage(source)
  const foreignRegistry = readForeignRegistry(source)
  const rolloutTimeoutMs = readRolloutTimeout(source)
  const evidenceLogs = readEvidenceLogs(source)
  return resolveImage === undefined ||
    foreignRegistry === undefined ||
    rolloutTimeoutMs === undefined ||
    evidenceLogs === undefined
    ? undefined
    : { resolveImage, foreignRegistry, rolloutTimeoutMs, evidenceLogs }
}

function readResolveImage({ value, issues }: SettingSource): ResolveImage | undefined {
  const text = value('RESOLVE_IMAGE')
  return (
    RESOLVE_IMAGE.find((known) => known === text) ??
    issues.error('RESOLVE_IMAGE', `is ${shown(text)}: it must be auto, require or never`)
  )
}

function readForeignRegistry({ value, issues }: SettingSource): ForeignRegistry | undefined {
  const text = value('FOREIGN_REGISTRY')
  return (
    FOREIGN_REGISTRY.find((known) => known === text) ??
    issues.error('FOREIGN_REGISTRY', `is ${shown(text)}: it must be clear or keep`)
  )
}

function readRolloutTimeout({ value, issues }: SettingSource): number | undefined {
  const text = value('ROLLOUT_TIMEOUT')
  const timeoutMs = parseDuration(text) ?? Number.NaN
  return timeoutMs >= MIN_ROLLOUT_MS && timeoutMs <= MAX_ROLLOUT_MS
    ? timeoutMs
    : issues.error(
        'ROLLOUT_TIMEOUT',
        `is ${shown(text)}: it must be a time from 1s to 24h, such as 90s, 30m or 2h`,
      )
}

function readEvidenceLogs({ value, issues }: SettingSource): boolean | undefined {
  const text = value('EVIDENCE_LOGS')
  return text === 'true' || text === 'false'
    ? text === 'true'
    : issues.error('EVIDENCE_LOGS', `is ${shown(text)}: it must be true or false`)
}
