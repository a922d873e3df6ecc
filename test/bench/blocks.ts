// Blocks of work by two sides in turn, so that both see the same weather of a noisy machine.

/** What the same block of work gave on each side. */
export interface Pair<T> {
  readonly deployer: T
  readonly peer: T
}

/** How long to go on. */
export interface BlockOptions<T> {
  /** What is compared in the end, from one pair. */
  readonly ratio: (pair: Pair<T>) => number
  readonly atLeast: number
  readonly atMost: number
}

// Whether a limit holds does not matter here: only how far the pairs scatter does.
const STEADY = 0.01

/**
 * Lets both sides work in turn until the ratio is known to one percent (its standard error).
 *
 * @param sides Does one block, on each side.
 * @param options How to compare a pair, and the least and greatest number of pairs.
 * @returns The pairs.
 */
export async function alternate<T>(
  sides: Pair<() => Promise<T>>,
  options: BlockOptions<T>,
): Promise<readonly Pair<T>[]> {
  const pairs: Pair<T>[] = []
  while (pairs.length < options.atMost) {
    if (pairs.length >= options.atLeast && scatter(pairs.map(options.ratio)) < STEADY) {
      break
    }
    pairs.push(pairs.length % 2 === 0 ? await deployerFirst(sides) : await peerFirst(sides))
  }
  return pairs
}

async function deployerFirst<T>(sides: Pair<() => Promise<T>>): Promise<Pair<T>> {
  const deployer = await sides.deployer()
  return { deployer, peer: await sides.peer() }
}

async function peerFirst<T>(sides: Pair<() => Promise<T>>): Promise<Pair<T>> {
  const peer = await sides.peer()
  return { peer, deployer: await sides.deployer() }
}

/** The standard error of the mean, as a part of the mean. */
function scatter(values: readonly number[]): number {
  const mean = sum(values) / values.length
  const variance = sum(values.map((value) => (value - mean) ** 2)) / (values.length - 1)
  return Math.sqrt(variance / values.length) / mean
}

/**
 * Adds numbers up.
 *
 * @param values The numbers.
 * @returns Their sum.
 */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/**
 * The value below which a part of the values lies.
 *
 * @param values The values, in any order.
 * @param part 0.5 for the median.
 * @returns One of the values.
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
