// The contract of the `Swarm` port: one test suite for the fake and for the adapter on a real
// engine.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createDeployer } from '../../src/deployer.ts'
import { writerOf } from '../../src/deployment/deployment-record.ts'
import type { Service } from '../../src/swarm/service.ts'
import type { ServiceEvent, Swarm } from '../../src/swarm/swarm.ts'

/** A swarm to test, and functions that create and remove its services. */
export interface SwarmUnderTest {
  readonly swarm: Swarm
  /** Two images that exist in their registry and that the swarm can run. */
  readonly images: readonly [string, string]
  /** An image that does not exist in the same registry. */
  readonly missingImage: string
  /** Creates a service with the first image, and returns its ID. Default of `replicas`: 0. */
  create(name: string, labels: Readonly<Record<string, string>>, replicas?: number): Promise<string>
  /** Removes a service. */
  remove(name: string): Promise<void>
}

/** A watch, and the events that it has reported. */
interface Watch {
  readonly events: readonly ServiceEvent[]
  /** Ends the watch. */
  abort(): void
  readonly ended: Promise<void>
}

/** A response of Deployer. */
interface DeployerResponse {
  readonly status: number
  readonly body: { readonly deploymentId: string; readonly startedAt: string }
}

const TIMEOUT = { timeout: 10_000, interval: 20 }
const LONG_TIMEOUT = { timeout: 60_000, interval: 50 }

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

    afterAll(() => subject.remove(serviceName))

    test('a service is found by its name and by its ID', async () => {
      for (const nameOrId of [serviceName, id]) {
        const { ID, Version, Spec } = await inspect(nameOrId)
        expect([ID, Spec.Name]).toEqual([id, serviceName])
        expect(Version.Index).toBeGreaterThan(0)
        expect(Spec.Labels).toEqual({ 'deployer.allowUpdates': 'true' })
        expect(Spec.TaskTemplate.ContainerSpec?.Image).toBe(subject.images[0])
      }
    })

    test('a service is found by a prefix of its ID, so callers must check the response', async () => {
      expect((await inspect(id.slice(0, -1))).ID).toBe(id)
    })

    test.each([
      ['a name that does not exist', () => 'nosuch'],
      ["a prefix of a service's name", () => serviceName.slice(0, -1)],
      ['a name in another case', () => serviceName.toUpperCase()],
    ])('%s is service-not-found', async (_, nameOrId) => {
      await expect(inspect(nameOrId())).rejects.toMatchObject({ code: 'service-not-found' })
    })

    test('an update applies the given spec, and increments the version index', async () => {
      const before = await inspect()
      const next = withImage(before, subject.images[1])
      expect(await subject.swarm.updateService(before, next)).toBe('updated')
      const after = await inspect()
      expect(after.Spec).toEqual(next)
      expect(after.Version.Index).toBeGreaterThan(before.Version.Index)
    })

    test('an update of an outdated version is out-of-sequence, and changes nothing', async () => {
      const stale = await inspect()
      const next = withImage(stale, subject.images[0])
      expect(await subject.swarm.updateService(stale, next)).toBe('updated')
      const current = await inspect()
      const late = withImage(stale, subject.images[1])
      expect(await subject.swarm.updateService(stale, late)).toBe('out-of-sequence')
      expect((await inspect()).Spec).toEqual(current.Spec)
    })

    test('of simultaneous updates of one version, exactly one is applied', async () => {
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

    test('an update of a service that was removed is service-not-found, and is known not to be applied', async () => {
      const name = `${serviceName}_gone`
      await subject.create(name, {})
      const gone = await inspect(name)
      await subject.remove(name)
      await expect(
        subject.swarm.updateService(gone, withImage(gone, subject.images[1])),
      ).rejects.toMatchObject({ code: 'service-not-found', notApplied: true })
    })

    test('an image is resolved to digest and platforms', async () => {
      const [one, two] = await Promise.all(
        subject.images.map((image) => subject.swarm.resolveImage(image)),
      )
      for (const image of [one, two]) {
        expect(image?.digest).toMatch(/^sha256:[0-9a-f]{64}$/)
        expect(image?.platforms).toContainEqual({
          Architecture: expect.stringMatching(/./),
          OS: 'linux',
        })
      }
      expect(one?.digest).not.toBe(two?.digest)
    })

    test('an image that does not exist in its registry is image-not-found', async () => {
      await expect(subject.swarm.resolveImage(subject.missingImage)).rejects.toMatchObject({
        code: 'image-not-found',
      })
    })

    test('services are listed by a label and its value', async () => {
      const name = `${serviceName}_labelled`
      const labelled = await subject.create(name, { [serviceName]: 'a' })
      const idsWith = async (label: string): Promise<string[]> =>
        (await subject.swarm.listServices(label)).map(({ ID }) => ID)
      expect(await idsWith(`${serviceName}=a`)).toEqual([labelled])
      expect(await idsWith(`${serviceName}=b`)).toEqual([])
      expect(await idsWith('deployer.allowUpdates=true')).toContain(id)
      await subject.remove(name)
    })

    test('there is a node that is ready and active', async () => {
      const nodes = await subject.swarm.listNodes()
      expect(nodes).toContainEqual(
        expect.objectContaining({
          ID: expect.stringMatching(/./),
          Spec: expect.objectContaining({ Availability: 'active' }),
          Status: expect.objectContaining({ State: 'ready' }),
        }),
      )
    })

    test('the tasks of a service run its image on one of the nodes', async () => {
      const name = `${serviceName}_tasks`
      const tasksId = await subject.create(name, {}, 1)
      const [task] = await vi.waitFor(async () => {
        const tasks = await subject.swarm.listTasks(tasksId)
        expect(tasks.map(({ Status }) => Status.State)).toEqual(['running'])
        return tasks
      }, TIMEOUT)
      const nodes = await subject.swarm.listNodes()
      expect(task?.DesiredState).toBe('running')
      expect(task?.Slot).toBe(1)
      expect(task?.Spec.ContainerSpec?.Image).toBe(subject.images[0])
      expect(nodes.map(({ ID }) => ID)).toContain(task?.NodeID)
      for (const time of [task?.CreatedAt, task?.UpdatedAt]) {
        expect(Date.parse(time ?? '')).toBeGreaterThan(0)
      }
      expect(await subject.swarm.readTaskLog(task?.ID ?? '', 20)).toBe('')
      await subject.remove(name)
    })

    test('a ForceUpdate of 17 digits is exact in services, tasks and updates', async () => {
      const name = `${serviceName}_counter`
      const counterId = await subject.create(name, { 'deployer.allowUpdates': 'true' }, 1)
      const { swarm, images } = subject
      const counter = 17326312345678901n
      const counts = async (): Promise<unknown[]> => {
        const { Spec } = await inspect(counterId)
        const tasks = await swarm.listTasks(counterId)
        const running = tasks.filter(
          ({ Status, DesiredState }) => `${Status.State} ${DesiredState}` === 'running running',
        )
        return [Spec.TaskTemplate.ForceUpdate, ...running.map((task) => task.Spec.ForceUpdate)]
      }
      await vi.waitFor(async () => {
        const before = await inspect(counterId)
        const TaskTemplate = { ...before.Spec.TaskTemplate, ForceUpdate: counter }
        const next = { ...before.Spec, TaskTemplate }
        expect(await swarm.updateService(before, next)).toBe('updated')
      }, TIMEOUT)
      await vi.waitFor(async () => expect(await counts()).toEqual([counter, counter]), LONG_TIMEOUT)

      const stop = new AbortController()
      const app = createDeployer({ token: 'x', swarm, signal: stop.signal })
      const headers = { Authorization: 'Bearer x' }
      const put = async (body: object): Promise<DeployerResponse> => {
        const init = { method: 'PUT', body: JSON.stringify(body), headers }
        const response = await app.request(`/service/${name}?wait=50`, init)
        return {
          status: response.status,
          body: (await response.json()) as DeployerResponse['body'],
        }
      }
      const deployed = await put({ image: images[1] })
      expect(deployed).toMatchObject({ status: 200, body: { verdict: 'converged' } })
      expect(await counts()).toEqual([counter, counter])
      const forced = await put({ force: true })
      expect(forced).toMatchObject({ status: 200, body: { verdict: 'converged' } })
      expect(await counts()).toEqual([counter + 1n, counter + 1n])

      const { deploymentId } = forced.body
      const { Spec } = await inspect(counterId)
      expect(writerOf(Spec)?.startedAt).toBe(forced.body.startedAt)
      stop.abort()
      const elsewhere = new AbortController()
      const other = createDeployer({ token: 'x', swarm, signal: elsewhere.signal })
      const later = await other.request(`/deployments/${deploymentId}?wait=50`, { headers })
      expect(await later.json()).toMatchObject({ verdict: 'converged' })
      elsewhere.abort()
      await subject.remove(name)
    })

    test('a service that does not exist has no tasks, and a task that does not exist has no log', async () => {
      expect(await subject.swarm.listTasks('nosuch')).toEqual([])
      expect(await subject.swarm.readTaskLog('nosuch', 20)).toBe('')
    })

    test("the engine's clock is close to the local clock", async () => {
      await inspect()
      expect(Math.abs(subject.swarm.now() - Date.now())).toBeLessThan(60_000)
    })

    test('a watch reports that a service is created, updated and removed', async () => {
      const watch = await openWatch(subject.swarm)
      const name = `${serviceName}_watched`
      const watchedId = await subject.create(name, {})
      const startedAt = subject.swarm.now()
      await vi.waitFor(() => expect(actionsOf(watch, watchedId)[0]).toBe('create'), TIMEOUT)
      const [, image] = subject.images
      await vi.waitFor(async () => {
        const before = await inspect(watchedId)
        expect(await subject.swarm.updateService(before, withImage(before, image))).toBe('updated')
      }, TIMEOUT)
      const written = { serviceId: watchedId, action: 'update', image, timeMs: expect.any(Number) }
      await vi.waitFor(() => expect(watch.events).toContainEqual(written), TIMEOUT)
      await subject.remove(name)
      await vi.waitFor(() => expect(actionsOf(watch, watchedId).at(-1)).toBe('remove'), TIMEOUT)
      for (const { serviceId, action, timeMs } of watch.events) {
        if (serviceId === watchedId && action !== 'create') {
          expect(Math.abs(timeMs - startedAt)).toBeLessThan(600_000)
        }
      }
      watch.abort()
      await watch.ended
    })

    test('a watch reports the update states of a running service', async () => {
      const name = `${serviceName}_rollout`
      const rolloutId = await subject.create(name, {}, 1)
      const watch = await openWatch(subject.swarm)
      await vi.waitFor(async () => {
        const before = await inspect(rolloutId)
        const next = withImage(before, subject.images[1])
        expect(await subject.swarm.updateService(before, next)).toBe('updated')
      }, TIMEOUT)
      const states = (): unknown[] =>
        watch.events
          .filter(({ serviceId }) => serviceId === rolloutId)
          .flatMap(({ updateState = [] }) => updateState)
      await vi.waitFor(() => expect(states()).toEqual(['updating', 'completed']), {
        ...TIMEOUT,
        timeout: 30_000,
      })
      await subject.remove(name)
      watch.abort()
      await watch.ended
    })

    test('a watch with a start time reports earlier events, other watches do not', async () => {
      const first = await openWatch(subject.swarm)
      const before = await inspect()
      const other = before.Spec.TaskTemplate.ContainerSpec?.Image === subject.images[0] ? 1 : 0
      const next = withImage(before, subject.images[other])
      expect(await subject.swarm.updateService(before, next)).toBe('updated')
      const event = await vi.waitFor(() => {
        const found = first.events.find(({ serviceId }) => serviceId === id)
        expect(found?.image).toBe(subject.images[other])
        return found
      }, TIMEOUT)
      const again = await openWatch(subject.swarm, event?.timeMs)
      await vi.waitFor(() => expect(again.events).toContainEqual(event), TIMEOUT)
      const later = await openWatch(subject.swarm, (event?.timeMs ?? 0) + 1)
      const fresh = await openWatch(subject.swarm)
      const last = await inspect()
      expect(await subject.swarm.updateService(last, last.Spec)).toBe('updated')
      for (const watch of [later, fresh]) {
        await vi.waitFor(() => expect(actionsOf(watch, id)).toEqual(['update']), TIMEOUT)
        expect(watch.events).not.toContainEqual(event)
      }
      const watches = [first, again, later, fresh]
      for (const watch of watches) {
        watch.abort()
      }
      await Promise.all(watches.map(({ ended }) => ended))
    })

    test('an aborted watch resolves, and reports nothing more', async () => {
      const watch = await openWatch(subject.swarm)
      watch.abort()
      await watch.ended
      const countBefore = watch.events.length
      const before = await inspect()
      expect(await subject.swarm.updateService(before, before.Spec)).toBe('updated')
      await inspect()
      expect(watch.events).toHaveLength(countBefore)
      const listener = { opened: vi.fn(), changed: vi.fn() }
      await subject.swarm.watchServices(listener, { signal: AbortSignal.abort() })
      expect(listener.opened).not.toHaveBeenCalled()
    })
  })
}

/** Starts a watch, and waits until its stream is open. */
async function openWatch(swarm: Swarm, sinceMs?: number): Promise<Watch> {
  const controller = new AbortController()
  const events: ServiceEvent[] = []
  let ended: Promise<void> = Promise.resolve()
  await new Promise<void>((opened, failed) => {
    const listener = { opened, changed: (event: ServiceEvent) => void events.push(event) }
    ended = swarm.watchServices(listener, { signal: controller.signal, sinceMs })
    ended.catch(failed)
  })
  return { events, ended, abort: () => controller.abort() }
}

function actionsOf({ events }: Watch, id: string): string[] {
  return events.filter(({ serviceId }) => serviceId === id).map(({ action }) => action)
}
