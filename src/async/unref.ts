// Timers that do not keep a process alive.

/**
 * Lets the process end although a timer has not fired, where the runtime has such a feature.
 *
 * @param timer What `setTimeout` returned.
 * @returns The same timer.
 */
export function unref<T>(timer: T): T {
  const { unref: detach } = Object(timer) as { readonly unref?: () => unknown }
  detach?.call(timer)
  return timer
}
