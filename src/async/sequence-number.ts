// Sequence numbers, which order what happens in this process. Times do not: the clock of workerd stands
// still between two I/O operations, and any clock gives equal times to what happens fast enough.

let latest = 0

/**
 * Gives the next sequence number.
 *
 * @returns A number that is greater than all earlier ones of this process.
 */
export function nextSequenceNumber(): number {
  latest += 1
  return latest
}
