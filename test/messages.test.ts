// Template data of an event.

import { describe, expect, it } from 'vitest'
import { messageData, messageFields } from '../src/messages.ts'
import type { DeploymentEvent } from '../src/ports.ts'

const event: DeploymentEvent = {
  event: 'accepted',
  service: 'blog',
  serviceId: 'x1',
  image: 'me/blog:v2',
  previous: 'me/blog:v1',
}

describe('messageData', () => {
  it('names the image as the caller sent it, and the service', () => {
    expect(messageData(event)).toEqual({ Artifact: 'me/blog:v2', ServiceName: 'blog' })
  })

  it('has a value for each variable that templates may name, and no other', () => {
    expect(Object.keys(messageData(event))).toEqual(messageFields)
  })
})
