// What every Swarm must do: one suite for the fake and for the adapter on a real engine.

import { beforeAll, describe, expect, test } from 'vitest'
import type { Service, Swarm } from '../../src/ports.ts'

/** A swarm to hold to the contract, and the means to put services into it. */
export interface SwarmUnderTest {
  readonly swarm: Swarm
  /** Two images that the swarm can run. */
  readonly images: readonly [string, string]
  /** Creates a service of 0 replicas that runs the first image; gives its ID. */
  create(name: string, labels: Readonly<Record<string, string>>): Promise<string>
}

export function describeSwarm(name: string, setUp: () => Promise<SwarmUnderTest>): void {
  describe(`the Swarm contract on ${name}`, () => {
    const serviceName = `contract_${Math.random().toString(36).slice(2)}`
    let subject: SwarmUnderTest
    let id: string
    const inspect = (nameOrId: string = serviceName): Promise<Service> =>
      subject.swarm.inspectService(nameOrId)
    const withImage = ({ Spec }: Service, Image: string): Service['Spec'] => ({
      ...Spec,
      TaskTemplate: {
        ...Spec.TaskTemplate,
        ContainerSpec: { ...Spec.TaskTemplate.ContainerSpec, Image },
      },
    })

    beforeAll(async () => {
      subject = await setUp()
      id = await subject.create(serviceName, { 'deployer.allowUpdates': 'true' })
    })

    test('a service is found by its name and by its ID', async () => {
      for (const nameOrId of [serviceName, id]) {
        const { ID, Version, Spec } = await inspect(nameOrId)
        expect([ID, Spec.Name]).toEqual([id, serviceName])
        expect(Version.Index).toBeGreaterThan(0)
        expect(Spec.Labels).toEqual({ 'deployer.allowUpdates': 'true' })
        expect(Spec.TaskTemplate.ContainerSpec?.Image).toBe(subject.images[0])
      }
    })

    test('a service is found by a prefix of its ID, so callers must look at the answer', async () => {
      expect((await inspect(id.slice(0, -1))).ID).toBe(id)
    })

    test.each([
      ['no such service', () => 'nosuch'],
      ["a prefix of a service's name", () => serviceName.slice(0, -1)],
      ['a name in another case', () => serviceName.toUpperCase()],
    ])('%s is service-not-found', async (_, nameOrId) => {
      await expect(inspect(nameOrId())).rejects.toMatchObject({ code: 'service-not-found' })
    })

    test('an update writes the spec as it is given, and the version index grows', async () => {
      const before = await inspect()
      const next = withImage(before, subject.images[1])
      expect(await subject.swarm.updateService(before, next)).toBe('updated')
      const after = await inspect()
      expect(after.Spec).toEqual(next)
      expect(after.Version.Index).toBeGreaterThan(before.Version.Index)
    })

    test('an update over a version that is gone writes nothing', async () => {
      const stale = await inspect()
      const next = withImage(stale, subject.images[0])
      expect(await subject.swarm.updateService(stale, next)).toBe('updated')
      const current = await inspect()
      const late = withImage(stale, subject.images[1])
      expect(await subject.swarm.updateService(stale, late)).toBe('out-of-sequence')
      expect((await inspect()).Spec).toEqual(current.Spec)
    })

    test('updates at once: one is written, the others are told', async () => {
      const before = await inspect()
      const outcomes = await Promise.all(
        [1, 2, 3, 4].map((n) =>
          subject.swarm.updateService(before, {
            ...before.Spec,
            Labels: { ...before.Spec.Labels, n: `${n}` },
          }),
        ),
      )
      expect(outcomes.filter((outcome) => outcome === 'updated')).toHaveLength(1)
    })
  })
}
