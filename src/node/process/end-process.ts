// The end of the process, also while one of its threads is blocked.

// What Node runs on threads of libuv's pool, by the names of `process.getActiveResourcesInfo()`.
const THREAD_REQUESTS = ['FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap']
const CHECK_EVERY_MS = 10

/** When to end. */
export interface EndProcessOptions {
  /** By `performance.now()`: the process is not to exist any more after it. */
  readonly deadline: number
}

/**
 * Ends the process. `process.exit()` waits for the threads of libuv's pool, and a file system or a name
 * server that does not answer blocks these for ever. So this waits for them up to the deadline, and then
 * sends SIGKILL to the process itself.
 *
 * @param status The exit status; 137 when a thread is still blocked at the deadline.
 * @param options The deadline.
 */
export async function endProcess(status: number, { deadline }: EndProcessOptions): Promise<void> {
  while (isThreadBusy()) {
    if (performance.now() >= deadline) {
      // The first process of a container cannot kill itself: there, Docker does it a second later.
      process.kill(process.pid, 'SIGKILL')
      break
    }
    await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS))
  }
  process.exit(status)
}

function isThreadBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => THREAD_REQUESTS.includes(name))
}
