// The values that beanstalkd accepts for tubes and jobs, from its protocol.txt.

/** The largest priority, delay or TTR of a job. */
export const MAX_UINT32 = 4_294_967_295

const TUBE = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}$/

/** The rule for names of tubes, for messages. */
export const TUBE_FORM = '1 to 200 letters, digits and -+/;.$_(), not starting with -'

/**
 * Checks the name of a tube.
 *
 * @param name The name.
 * @returns Whether it follows the rule in {@link TUBE_FORM}.
 */
export function isTubeName(name: string): boolean {
  return TUBE.test(name)
}

/**
 * Checks a number of a job.
 *
 * @param value The priority, or a time in seconds.
 * @param minimum The smallest valid number. It is 1 for the TTR, because beanstalkd changes 0 to 1.
 * @returns Whether it is a whole number from the minimum to {@link MAX_UINT32}.
 */
export function isJobNumber(value: unknown, minimum: number): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= MAX_UINT32
  )
}
