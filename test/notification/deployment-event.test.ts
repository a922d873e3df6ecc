// Events by value, and the check of events that are read from JSON.

import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Deployment, deploymentId } from '../../src/deployment/deployment.ts'
import { endVerdicts, type Outcome, type TaskEvidence } from '../../src/deployment/verdict.ts'
import {
  acceptedEvent,
  deploymentEventNames,
  endedEvent,
  isDeploymentEvent,
  isOrigin,
  messageIdOf,
  newMessageId,
  refusedEvent,
} from '../../src/notification/deployment-event.ts'
import { exampleEvent } from '../support/example-event.ts'

const ORIGIN = {
  messageId: '0123456789abcdef0123456789abcdef',
  caller: 'ci',
  metadata: { commit: 'a1' },
}
const DIGEST = `sha256:${'2'.repeat(64)}`
const ENDED_AT = '2026-11-24T14:01:00.000Z'

const deployment: Deployment = {
  service: 'blog',
  serviceId: '4cdgfyky7ozwh3htjfw0d12qv',
  image: 'me/app:v2',
  resolved: `me/app:v2@${DIGEST}`,
  previous: 'me/app:v1',
  forceUpdate: '0',
  versionIndex: 10,
  startedAt: '2026-11-24T14:00:00.000Z',
}
const deployed = {
  ...{ deployment, deploymentId: deploymentId(deployment), origin: ORIGIN },
  messageId: ORIGIN.messageId,
}

const SAME = {
  service: 'blog',
  serviceId: deployment.serviceId,
  image: 'me/app:v2',
  digest: DIGEST,
  previous: 'me/app:v1',
  deploymentId: deployed.deploymentId,
  caller: 'ci',
  startedAt: deployment.startedAt,
  metadata: { commit: 'a1' },
}

function task(differs: Partial<TaskEvidence> = {}): TaskEvidence {
  return {
    ...{ taskId: 'task', node: 'node1', state: 'failed', error: 'no such image' },
    log: 'a secret of the log',
    ...differs,
  }
}

describe('an event', () => {
  test('of a deployment that was accepted has no error and no end', () => {
    const id = 'msg_0123456789abcdef0123456789abcdef_accepted'
    expect(acceptedEvent(deployed)).toEqual({
      id,
      event: 'accepted',
      ...SAME,
      error: '',
      endedAt: '',
    })
  })

  test('of an end has the reason and the time, without log lines', () => {
    const tasks = [task({ slot: 1, exitCode: 3 })]
    const outcome: Outcome = { verdict: 'paused', endedAt: ENDED_AT, message: 'paused', tasks }
    expect(endedEvent(deployed, outcome)).toEqual({
      ...{ id: 'msg_0123456789abcdef0123456789abcdef_paused', event: 'paused' },
      ...SAME,
      ...{ error: 'paused; task 1 on node1 failed: no such image, exit code 3', endedAt: ENDED_AT },
    })
  })

  test('of a rejected request starts and ends at the same time, without a deployment', () => {
    const refusal = {
      ...{ service: 'shop', image: 'me/app:v2', reason: 'Cannot update\n"shop"', origin: ORIGIN },
      nowMs: Date.parse(ENDED_AT),
    }
    expect(refusedEvent(refusal)).toEqual({
      ...{ id: 'msg_0123456789abcdef0123456789abcdef_refused', event: 'refused' },
      ...{ service: 'shop', image: 'me/app:v2', error: 'Cannot update "shop"' },
      ...{ serviceId: '', digest: '', previous: '', deploymentId: '' },
      ...{ startedAt: ENDED_AT, endedAt: ENDED_AT },
      ...{ caller: 'ci', metadata: { commit: 'a1' } },
    })
  })

  test('of an image without a digest has an empty one', () => {
    const loose = { ...deployed, deployment: { ...deployment, resolved: 'me/app:v2' } }
    expect(acceptedEvent(loose).digest).toBe('')
  })

  test('has the name of a verdict, accepted or refused', () => {
    expect(deploymentEventNames).toEqual(['accepted', ...endVerdicts, 'refused'])
    for (const verdict of endVerdicts) {
      expect(endedEvent(deployed, { verdict, endedAt: ENDED_AT }).event).toBe(verdict)
    }
  })

  test('has an ID without dots that depends on its name and its deployment only', () => {
    const origins = [newMessageId(), newMessageId()].map((messageId) => ({ ...ORIGIN, messageId }))
    const ids = origins.flatMap((origin) => [
      acceptedEvent({ ...deployed, ...origin }).id,
      ...endVerdicts.map(
        (verdict) => endedEvent({ ...deployed, ...origin }, { verdict, endedAt: '' }).id,
      ),
      refusedEvent({ service: '', image: '', reason: '', nowMs: 0, origin }).id,
    ])
    expect(new Set(ids).size).toBe(2 * deploymentEventNames.length)
    for (const id of ids) {
      expect(id).toMatch(/^msg_[0-9a-f]{32}_[a-z-]+$/)
    }
  })

  test('of a deployment has an ID that does not depend on the request', () => {
    const other = { ...ORIGIN, messageId: newMessageId() }
    const ids = [ORIGIN, other].map((origin) => messageIdOf({ ...deployed, origin }))
    const hash = createHash('sha256').update(deployed.deploymentId).digest('hex')
    expect(ids).toEqual([hash.slice(0, 32), hash.slice(0, 32)])
  })

  test.each(['unchanged', 'superseded', 'observed'] as const)(
    'of a deployment that is %s has an ID of the request',
    (unwritten) => {
      const one = { ...deployed, deployment: { ...deployment, unwritten } }
      expect(messageIdOf(one)).toBe(ORIGIN.messageId)
    },
  )

  test('has an ID with 32 random hexadecimal digits', () => {
    const drawn = Array.from({ length: 100 }, newMessageId)
    expect(new Set(drawn).size).toBe(100)
    for (const messageId of drawn) {
      expect(isOrigin({ ...ORIGIN, messageId })).toBe(true)
    }
  })
})

/** Each member of a valid object, once missing and once of another type. */
function invalidated(valid: object): readonly (readonly [what: string, value: unknown])[] {
  return Object.keys(valid).flatMap((member) => [
    [`no ${member}`, Object.fromEntries(Object.entries(valid).filter(([key]) => key !== member))],
    [`${member} undefined`, { ...valid, [member]: undefined }],
    [`${member} null`, { ...valid, [member]: null }],
    [`${member} a number`, { ...valid, [member]: 1 }],
    [`${member} a list of numbers`, { ...valid, [member]: [1] }],
  ])
}

const NON_OBJECTS: readonly (readonly [what: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a number', 1],
  ['a text', 'accepted'],
  ['true', true],
  ['a list', []],
  ['empty', {}],
]

describe('a value that was read from JSON', () => {
  test.each(deploymentEventNames)('is an event %s', (event) => {
    expect(isDeploymentEvent(JSON.parse(JSON.stringify(exampleEvent({ event }))))).toBe(true)
  })

  test('is an event with any texts and metadata', () => {
    expect(isDeploymentEvent(exampleEvent({ metadata: { a: '', b: 'x' }, error: 'e' }))).toBe(true)
    expect(isDeploymentEvent({ ...exampleEvent(), comes: 'from a later version' })).toBe(true)
  })

  test.each<readonly [what: string, value: unknown]>([
    ...NON_OBJECTS,
    ...invalidated(exampleEvent()),
    ['the event pending', { ...exampleEvent(), event: 'pending' }],
    ['the event toString', { ...exampleEvent(), event: 'toString' }],
    ['metadata a text', { ...exampleEvent(), metadata: 'a1' }],
    ['metadata of a number', { ...exampleEvent(), metadata: { a: '1', b: 2 } }],
    ['metadata of metadata', { ...exampleEvent(), metadata: { a: {} } }],
  ])('is no event: %s', (_, value) => {
    expect(isDeploymentEvent(value)).toBe(false)
  })

  test('is an origin', () => {
    expect(isOrigin(JSON.parse(JSON.stringify(ORIGIN)))).toBe(true)
    expect(isOrigin({ ...ORIGIN, caller: '', metadata: {} })).toBe(true)
  })

  test.each<readonly [what: string, value: unknown]>([
    ...NON_OBJECTS,
    ...invalidated(ORIGIN),
    ['a messageId in a list', { ...ORIGIN, messageId: [ORIGIN.messageId] }],
    ['an empty messageId', { ...ORIGIN, messageId: '' }],
    ['a messageId too short', { ...ORIGIN, messageId: ORIGIN.messageId.slice(1) }],
    ['a messageId too long', { ...ORIGIN, messageId: `${ORIGIN.messageId}0` }],
    ['a messageId in capitals', { ...ORIGIN, messageId: ORIGIN.messageId.toUpperCase() }],
    ['a messageId with a dot', { ...ORIGIN, messageId: `${ORIGIN.messageId.slice(1)}.` }],
    ['a messageId and a line break', { ...ORIGIN, messageId: `${ORIGIN.messageId}\n` }],
    ['metadata a text', { ...ORIGIN, metadata: 'a1' }],
    ['metadata of a number', { ...ORIGIN, metadata: { a: '1', b: 2 } }],
  ])('is no origin: %s', (_, value) => {
    expect(isOrigin(value)).toBe(false)
  })
})
