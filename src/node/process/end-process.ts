// Ends the process, even while one of its threads is blocked.

// Operations on threads of libuv's pool, by their names in `process.getActiveResourcesInfo()`.
const THREAD_REQUESTS = ['FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap']
const CHECK_EVERY_MS = 10

/** Options of {@link endProcess}. */
export interface EndProcessOptions {
  /** The time, as of `performance.now()`, at which the process is killed if it has not ended. */
  readonly deadline: number
}

/**
 * Ends the process. `process.exit()` waits for the threads of libuv's pool, which a file system or a name
 * server that does not respond blocks for ever. Therefore this function waits for them until the deadline,
 * and then sends SIGKILL to its own process.
 *
 * @param status The exit status; 137 if a thread is still blocked at the deadline.
 * @param options The deadline.
 */
export async function endProcess(status: number, { deadline }: EndProcessOptions): Promise<void> {
  while (isThreadBusy()) {
    if (performance.now() >= deadline) {
      // Process 1 of a container cannot kill itself. Docker kills it one second later.
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
