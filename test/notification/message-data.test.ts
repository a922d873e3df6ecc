// Template data of an event.

import { describe, expect, it } from 'vitest'
import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'
import { messageData, messageFields } from '../../src/notification/message-data.ts'

const event: DeploymentEvent = {
  id: 'msg_0123456789abcdef0123456789abcdef_rolled-back',
  event: 'rolled-back',
  service: 'blog',
  serviceId: 'x1',
  image: 'me/blog:v2',
  digest: 'sha256:2222',
  previous: 'me/blog:v1',
  deploymentId: 'd1',
  caller: 'ci',
  error: 'update paused due to failure',
  startedAt: '2026-11-24T10:00:00.000Z',
  endedAt: '2026-11-24T10:01:12.400Z',
  metadata: { commit: '1f2e3d' },
}

describe('messageData', () => {
  it('names all members of an event', () => {
    expect(messageData(event)).toEqual({
      Artifact: 'me/blog:v2',
      Caller: 'ci',
      DeploymentID: 'd1',
      Digest: 'sha256:2222',
      Duration: '1m12.4s',
      EndedAt: '2026-11-24T10:01:12.400Z',
      Error: 'update paused due to failure',
      Event: 'rolled-back',
      MessageID: 'msg_0123456789abcdef0123456789abcdef_rolled-back',
      Meta: { commit: '1f2e3d' },
      Previous: 'me/blog:v1',
      ServiceID: 'x1',
      ServiceName: 'blog',
      StartedAt: '2026-11-24T10:00:00.000Z',
    })
  })

  it('has a value for each variable that templates may name, and no other', () => {
    const kinds = Object.entries(messageData(event)).map(([name, value]) => {
      return [name, typeof value === 'string' ? 'string' : 'map']
    })
    expect(Object.fromEntries(kinds)).toEqual(messageFields)
  })

  it.each([
    ['', ''],
    ['2026-11-24T10:00:00Z', '0s'],
    ['2026-11-24T10:00:00.85Z', '850ms'],
    ['2026-11-24T11:00:05.000Z', '1h0m5s'],
    ['2026-11-24T09:59:59.500Z', '-500ms'],
    ['soon', ''],
  ])('gives an end at %j the duration %j', (endedAt, Duration) => {
    expect(messageData({ ...event, endedAt })).toMatchObject({ EndedAt: endedAt, Duration })
  })
})
