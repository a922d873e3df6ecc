// An example of a deployment event.

import type { DeploymentEvent } from '../../src/notification/deployment-event.ts'

export function exampleEvent(differs: Partial<DeploymentEvent> = {}): DeploymentEvent {
  return {
    id: 'msg_0123456789abcdef0123456789abcdef_accepted',
    event: 'accepted',
    service: 'blog',
    serviceId: '4cdgfyky7ozwh3htjfw0d12qv',
    image: 'me/blog:v2',
    digest: `sha256:${'2'.repeat(64)}`,
    previous: 'me/blog:v1',
    deploymentId: 'WzEs',
    caller: 'token',
    error: '',
    startedAt: '2026-11-24T10:00:00.000Z',
    endedAt: '',
    metadata: {},
    ...differs,
  }
}
