// Detects that another process on the same machine has ended: the kernel refuses connections to the socket
// of a process that has ended in any way, and accepts them for a process that is stopped.

import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { errorCode } from '../error-code.ts'

/** The socket in the directory of a process. */
export const LIVENESS_SOCKET = 'alive'
/** The length of the name of a machine. */
export const MACHINE_LENGTH = 36
/** The longest socket address that every system supports, in bytes. */
const MAX_PATH_BYTES = 100

/** A socket that is open until `close` is called or the process ends. */
export interface LivenessSocket {
  close(): void
}

/**
 * Identifies the running kernel. All containers of a machine have the same one. Machines that share a file
 * system have different ones, and cannot connect to each other's sockets.
 *
 * @returns The boot ID; empty if the system has none.
 */
export function machineName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/**
 * Opens a socket that shows other processes that this one runs.
 *
 * @param path The path of the socket.
 * @returns The listening socket; undefined if the file system has no sockets or the path is too long.
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
 * Checks whether the process that opened a socket has ended.
 *
 * @param path The path of the socket, on this machine.
 * @returns True if it has ended; false if it runs or that cannot be determined.
 */
export function hasProcessEnded(path: string): Promise<boolean> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return Promise.resolve(false)
  }
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', (error) => resolve(errorCode(error) === 'ECONNREFUSED'))
  })
}
