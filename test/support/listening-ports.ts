// The TCP ports on which a process listens, read from Linux's /proc.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * Reads the ports on which a process listens, in its own network namespace.
 *
 * @param pid Its process ID.
 * @returns The ports in ascending order.
 */
export function listeningPorts(pid: number): readonly number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${descriptor}`)
      } catch {
        return 'closed'
      }
    }),
  )
  return ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n'))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(`socket:[${inode}]`))
    .map(([, address = '']) => Number.parseInt(address.split(':')[1] ?? '', 16))
    .toSorted((a, b) => a - b)
}
