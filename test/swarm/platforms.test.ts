import { describe, expect, test } from 'vitest'
import type { Platform } from '../../src/swarm/engine-types.ts'
import { hasSuitableNode, noSuitableNode } from '../../src/swarm/platforms.ts'
import { fakeNode } from '../support/fake-placement.ts'

const amd64: Platform = { Architecture: 'amd64', OS: 'linux' }
const arm64: Platform = { Architecture: 'arm64', OS: 'linux' }

function node(Architecture: string, OS = 'linux') {
  return fakeNode('n', { platform: { Architecture, OS } })
}

describe('hasSuitableNode', () => {
  test.each([
    ['the same', [amd64], [node('amd64')], true],
    ['as uname spells it', [amd64], [node('x86_64')], true],
    [
      'the image as uname spells it',
      [{ Architecture: 'x86_64', OS: 'linux' }],
      [node('amd64')],
      true,
    ],
    ['arm64 as uname spells it', [arm64], [node('aarch64')], true],
    ['another processor', [arm64], [node('x86_64')], false],
    ['another system', [{ Architecture: 'amd64', OS: 'windows' }], [node('x86_64')], false],
    ['one of several platforms', [arm64, amd64], [node('x86_64')], true],
    ['one of several nodes', [arm64], [node('x86_64'), node('aarch64')], true],
    ['no architecture, as for arm', [{ OS: 'linux' }], [node('armv7l')], true],
    ['an empty one', [{ Architecture: '', OS: 'linux' }], [node('armv7l')], true],
    ['no system', [{ Architecture: 'amd64' }], [node('x86_64', 'windows')], true],
    ['no platforms', [], [node('x86_64')], true],
    ['nodes that do not tell', [arm64], [{ ID: 'n' }, { ID: 'm', Description: {} }], true],
    ['no nodes at all', [arm64], [], true],
  ])('%s: %j', (_, platforms, nodes, isSuitable) => {
    expect(hasSuitableNode(platforms, nodes)).toBe(isSuitable)
  })

  test('a node that is down or drained counts, since it may become available again', () => {
    for (const options of [{ state: 'down' }, { availability: 'drain' }]) {
      expect(hasSuitableNode([amd64], [fakeNode('n', options)])).toBe(true)
    }
  })
})

test("noSuitableNode names image, platforms and nodes, each once and with Go's names", () => {
  const nodes = [node('x86_64'), node('x86_64'), node('amd64'), { ID: 'silent' }]
  const error = noSuitableNode('me/app:v2', [arm64, arm64, { OS: 'linux' }], nodes)
  expect(error.code).toBe('no-suitable-node')
  expect(error.message).toBe(
    'Cannot deploy "me/app:v2": it is for linux/arm64, linux/, and the nodes of the swarm are linux/amd64; build it for one of these',
  )
})
