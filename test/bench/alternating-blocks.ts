// Runs blocks of work on two sides in turn, so that other load on the machine affects both equally.

/** The result of the same block of work on each side. */
export interface Pair<T> {
  readonly deployer: T
  readonly peer: T
}

/** When to stop. */
export interface BlockOptions<T> {
  /** The ratio of one pair. */
  readonly ratio: (pair: Pair<T>) => number
  readonly atLeast: number
  readonly atMost: number
}

// Depends on the variation between the pairs only, never on the limits.
const MAX_RELATIVE_ERROR = 0.01

/**
 * Runs both sides in turn until the standard error of the ratio is one percent.
 *
 * @param sides Runs one block on each side.
 * @param options The ratio of a pair, and the minimum and maximum number of pairs.
 * @returns The pairs.
 */
export async function alternate<T>(
  sides: Pair<() => Promise<T>>,
  options: BlockOptions<T>,
): Promise<readonly Pair<T>[]> {
  const pairs: Pair<T>[] = []
  while (pairs.length < options.atMost) {
    if (
      pairs.length >= options.atLeast &&
      relativeError(pairs.map(options.ratio)) < MAX_RELATIVE_ERROR
    ) {
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

/** The relative standard error of the mean. */
function relativeError(values: readonly number[]): number {
  const mean = sum(values) / values.length
  const variance = sum(values.map((value) => (value - mean) ** 2)) / (values.length - 1)
  return Math.sqrt(variance / values.length) / mean
}

/**
 * Adds numbers.
 *
 * @param values The numbers.
 * @returns Their sum.
 */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/**
 * Finds a percentile.
 *
 * @param values The values, in any order.
 * @param part Between 0 and 1; 0.5 for the median.
 * @returns The value below which that part of the values lies.
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
