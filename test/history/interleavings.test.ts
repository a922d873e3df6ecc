// Whatever two Deployers, another client and the engine do, and in whatever order: a verdict is true, and
// final, and each deployment has its messages. The fake swarm knows what truly happened.

import fc from 'fast-check'
import { afterEach, beforeEach, test } from 'vitest'
import {
  clientSteps,
  createInterleavedWorld,
  engineSteps,
  fakeTime,
  type InterleavedWorld,
  NOTED_AFTER_MS,
  restoreTime,
  type SeenVerdict,
  type Step,
} from '../support/interleaved-world.ts'
import { stops } from '../support/killable-deployer.ts'

// `.ci/run` sets more.
const RUNS = Number(process.env.INTERLEAVINGS ?? 100)
// Any other number is another set of sequences.
const SEED = Number(process.env.INTERLEAVINGS_SEED ?? 1)
const MAX_STEPS = 24

const process_ = fc.nat({ max: 1 })
const image = fc.integer({ min: 2, max: 4 })
const nth = fc.nat({ max: 4 })

const put: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('put' as const),
  process: process_,
  image,
  force: fc.boolean(),
})
const engine: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('engine' as const),
  step: fc.constantFrom(...engineSteps),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: put, weight: 6 },
  { arbitrary: engine, weight: 8 },
  {
    arbitrary: fc.record({
      do: fc.constantFrom('put-again' as const, 'look' as const),
      ...{ process: process_, nth },
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('hold' as const),
      ...{ process: process_, at: fc.constantFrom(...stops) },
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['release', 'release', 'lose-answer', 'kill', 'start', 'start', 'restart'] as const),
      ),
      process: process_,
    }),
    weight: 6,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('client' as const),
      ...{ step: fc.constantFrom(...clientSteps), image },
    }),
    weight: 2,
  },
  { arbitrary: fc.constant({ do: 'lose-events' as const }), weight: 1 },
  { arbitrary: fc.constant({ do: 'hour' as const }), weight: 1 },
  {
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(50, 1500, 6000, 20_000),
    }),
    weight: 3,
  },
)

beforeEach(fakeTime)
afterEach(restoreTime)

/** What is wrong in a world that has settled. */
function faultsOf(world: InterleavedWorld): readonly string[] {
  const { truth, verdicts, events, keys, unnoted, errors, rolloutTimeoutMs } = world
  const faults: string[] = errors.map((error) => `error: ${error}`)
  for (const write of truth.writes) {
    const { startedAt } = write
    const happened = write.happened.map(({ what }) => what)
    const seen = verdicts.get(startedAt) ?? []
    const what = `write of ${startedAt} by ${write.process} (${happened.join(', ') || 'nothing happened'})`
    for (const { verdict, by } of seen) {
      if (!truth.allows(write, verdict, rolloutTimeoutMs)) {
        faults.push(`false ${verdict}: ${what}, ${by}`)
      }
    }
    const known = new Set(seen.map(({ verdict }) => verdict).filter((one) => one !== 'unknown'))
    // Nobody can know a verdict that was told in the last seconds before a kill, or by another process in
    // the last seconds before the service was written again, where the record does not have it.
    const replacedMs = write.happened.find(({ what }) => what.startsWith('replaced'))?.atMs ?? 0
    const isRace = Math.abs(replacedMs - (seen[0]?.atMs ?? 0)) < NOTED_AFTER_MS
    if (known.size > 1 && !unnoted.has(startedAt) && !isRace) {
      const told = seen.map(({ verdict, by }) => `${by} ${verdict}`).join(', ')
      faults.push(`changed verdict: ${what}, ${told}`)
    }
    const own = events.filter((event) => event.startedAt === startedAt)
    const accepted = new Set(own.filter(({ event }) => event === 'accepted').map(({ id }) => id))
    const ended = own.filter(({ event }) => event !== 'accepted')
    // Where nobody can know that the engine took a write, its end is `unknown`, and nothing precedes it.
    const isUndetermined = own.length > 0 && own.every(({ event }) => event === 'unknown')
    if (accepted.size === 0 && !isUndetermined) faults.push(`lost accepted: ${what}`)
    // Each request for a paused update has messages of its own.
    const isPaused = seen.some(({ verdict }) => verdict === 'paused')
    if (accepted.size > 1 && !isPaused) faults.push(`two IDs of accepted: ${what}`)
    if (ended.length === 0) faults.push(`lost end: ${what}`)
    // `unknown` besides another verdict is counted: a process that looks within seconds of the other one's
    // verdict cannot know it.
    const knownEnds = ended.filter(({ event }) => event !== 'unknown')
    const isTwice = new Set(knownEnds.map(({ event }) => event)).size > 1
    if (isTwice && !unnoted.has(startedAt) && !isRace) faults.push(`two ends: ${what}`)
    if (new Set(knownEnds.map(({ id }) => id)).size > 1 && !isTwice && !isPaused)
      faults.push(`two IDs of the end: ${what}`)
  }
  for (const [key, writes] of keys) {
    // As the documents say, a key is forgotten with a write that a rollback, or another client's labels, take
    // back before the history has it.
    const [first] = truth.writes.filter(({ startedAt }) => startedAt === writes[0])
    const isTakenBack = first?.happened.some(({ what }) => /roll|another client/.test(what))
    const [firstMs = 0, secondMs = 0] = writes.map((startedAt) => Date.parse(startedAt))
    const isForgotten =
      writes.slice(0, -1).some((write) => unnoted.has(write)) ||
      (isTakenBack === true && secondMs - firstMs < NOTED_AFTER_MS)
    if (writes.length > 1 && !isForgotten)
      faults.push(`two writes of a key: ${key}, ${writes.join(', ')}`)
  }
  return faults
}

test('two Deployers tell the truth, once and for all, in any order of events', async () => {
  let writes = 0
  let unknown = 0
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 4, maxLength: MAX_STEPS, size: 'max' }),
    async (steps) => {
      const world = createInterleavedWorld('config')
      try {
        for (const one of steps) await world.take(one)
        await world.settle()
        const faults = [...faultsOf(world)]
        writes += world.truth.writes.length
        unknown += [...world.verdicts.values()].filter(hasUnknown).length
        await world.lookLate()
        faults.push(...faultsOf(world))
        if (faults.length > 0) throw new Error([...new Set(faults)].join('\n'))
      } finally {
        world.end()
      }
    },
  )
  await fc.assert(property, { numRuns: RUNS, includeErrorInReport: true, seed: SEED })
  console.log(
    `${RUNS} sequences, ${writes} writes; the verdict of ${unknown} was unknown to somebody`,
  )
}, 600_000)

function hasUnknown(seen: readonly SeenVerdict[]): boolean {
  return seen.some(({ verdict }) => verdict === 'unknown')
}
