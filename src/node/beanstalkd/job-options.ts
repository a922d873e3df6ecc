// What beanstalkd takes: names of tubes, and the numbers of a job. From its protocol.txt.

/** The largest number that a job's priority, delay or TTR can be. */
export const MAX_UINT32 = 4_294_967_295

const TUBE = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}$/

/** What a tube's name may be, for messages. */
export const TUBE_FORM = '1 to 200 letters, digits and -+/;.$_(), not starting with -'

/**
 * Whether a tube can be called so.
 *
 * @param name The name.
 * @returns True for {@link TUBE_FORM}.
 */
export function isTubeName(name: string): boolean {
  return TUBE.test(name)
}

/**
 * Whether a number of a job is one that beanstalkd reads.
 *
 * @param value The priority, or seconds.
 * @param from The least that makes sense: beanstalkd makes a TTR of 0 a 1.
 * @returns True for whole numbers up to {@link MAX_UINT32}.
 */
export function isJobNumber(value: unknown, from: number): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= from && value <= MAX_UINT32
  )
}
