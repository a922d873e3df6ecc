// Whether another process on the same machine has ended, as the kernel knows: it refuses connections
// to the socket of a process that is gone, however it ended, and accepts them for one that is stopped.

import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { codeOf } from '../error-code.ts'

/** The socket in the directory of a process. */
export const LIVENESS_SOCKET = 'alive'
/** How long a name of a machine is. */
export const MACHINE_LENGTH = 36
/** What fits into the address of a socket, on every system, in bytes. */
const MAX_PATH_BYTES = 100

/** A socket that is open until it is closed, or the process ends. */
export interface LivenessSocket {
  close(): void
}

/**
 * Names the running kernel. Containers of one machine have the same one, other machines that share a
 * file system have another one, and their sockets say nothing.
 *
 * @returns The name; empty where the system has none.
 */
export function machineName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/**
 * Opens a socket by which others see that this process lives.
 *
 * @param path Its path.
 * @returns The socket, listening; undefined where the file system has no sockets or the path is too
 *   long.
 */
export function openLivenessSocket(path: string): Promise<LivenessSocket | undefined> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return Promise.resolve(undefined)
  }
  return new Promise((resolve) => {
    const server = createServer((connection) => connection.destroy()).unref()
    server.on('error', () => resolve(undefined))
    server.listen(path, () => resolve({ close: () => void server.close() }))
  })
}

/**
 * Tells whether the process that opened a socket is gone.
 *
 * @param path The path of the socket, on this machine.
 * @returns Whether it is; false where that cannot be known.
 */
export function isProcessGone(path: string): Promise<boolean> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return Promise.resolve(false)
  }
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'))
  })
}
