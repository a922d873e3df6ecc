import { describe, expect, test } from 'vitest'
import {
  FOREIGN_IMAGE_LABEL,
  ownersImage,
  reasonToWithholdLogs,
  withForeignImage,
} from '../../src/rollout/log-access.ts'
import type { ServiceSpec } from '../../src/swarm/service.ts'

function spec(image: string, Labels?: Readonly<Record<string, string>> | null): ServiceSpec {
  const TaskTemplate = { ContainerSpec: { Image: image } }
  return { Name: 'blog', TaskTemplate, ...(Labels === undefined ? {} : { Labels }) }
}

const foreignImage = (value: string): Readonly<Record<string, string>> => ({
  [FOREIGN_IMAGE_LABEL]: value,
})

describe("the owner's image", () => {
  test.each([
    ['me/app:v1', undefined, 'me/app:v1'],
    ['me/app:v1', null, 'me/app:v1'],
    ['evil/app:v1', foreignImage('me/app:v1 evil/app:v1'), 'me/app:v1'],
    ['evil/app:v1', foreignImage('an odd image evil/app:v1'), 'an odd image'],
    ['evil/app:v1', foreignImage(' evil/app:v1'), ''],
    ['other/app:v1', foreignImage('me/app:v1 evil/app:v1'), 'other/app:v1'],
    ['me/app:v1', foreignImage('garbage'), 'me/app:v1'],
    ['evil/app:v1', { 'com.docker.stack.image': 'me/app:v1' }, 'me/app:v1'],
    [
      'evil/app:v1',
      { ...foreignImage('other/app:v1 evil/app:v1'), 'com.docker.stack.image': 'me/app:v1' },
      'me/app:v1',
    ],
  ])('of a service with %s and labels %j is %j', (image, labels, expected) => {
    expect(ownersImage(spec(image, labels))).toBe(expected)
  })
})

describe('the label for a foreign image', () => {
  test('is not set while the repository is that of the owner', () => {
    for (const labels of [undefined, null, { other: 'kept' }]) {
      const next = spec('me/app:v2', labels)
      expect(withForeignImage(next, spec('me/app:v1', labels))).toBe(next)
    }
  })

  test('is set with another repository, and keeps the image of the owner until it is removed', () => {
    const first = withForeignImage(spec('evil/a:v1', { k: 'v' }), spec('me/app:v1', { k: 'v' }))
    expect(first.Labels).toEqual({ k: 'v', ...foreignImage('me/app:v1 evil/a:v1') })
    const second = withForeignImage({ ...spec('evil/b:v1'), Labels: first.Labels ?? null }, first)
    expect(second.Labels).toEqual({ k: 'v', ...foreignImage('me/app:v1 evil/b:v1') })
    const back = withForeignImage({ ...spec('me/app:v2'), Labels: second.Labels ?? null }, second)
    expect(back.Labels).toEqual({ k: 'v' })
  })

  test('is set too where the previous image is no valid reference', () => {
    const odd = 'a'.repeat(64)
    const next = withForeignImage(spec('me/app:v1'), spec(odd))
    expect(next.Labels).toEqual(foreignImage(`${odd} me/app:v1`))
    expect(reasonToWithholdLogs(next, 'me/app:v1')).toContain('me/app:v1')
    expect(reasonToWithholdLogs(spec(odd), odd)).toBeDefined()
  })
})

test('the reason for withheld logs names both images and what to do', () => {
  const foreign = spec('evil/app:v1', foreignImage('me/app:v1 evil/app:v1'))
  expect(reasonToWithholdLogs(foreign, 'me/app:v2')).toBeUndefined()
  const reason = reasonToWithholdLogs(foreign, 'evil/app:v1')
  expect(reason).toContain('(me/app:v1), and evil/app:v1 is')
  expect(reason).toContain('docker service update --label-rm deployer.foreignImage blog')
  const ofStack = spec('evil/app:v1', { 'com.docker.stack.image': 'me/app:v1' })
  expect(reasonToWithholdLogs(ofStack, 'evil/app:v1')).toContain('the stack file')
})
