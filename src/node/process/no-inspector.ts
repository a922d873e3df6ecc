// Keeps Node's inspector closed.

/**
 * Prevents SIGUSR1 from opening Node's inspector, through which every user of the machine could read the
 * token. Node opens it only in a process that does not listen for the signal. The flag `--disable-sigusr1`
 * does the same from the start of the process on, but Node 20 does not have it.
 */
export function disableInspectorSignal(): void {
  process.on('SIGUSR1', () => {})
}
