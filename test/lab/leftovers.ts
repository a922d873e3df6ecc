// The directory of a lab, and the removal of everything that belongs to a lab: its processes, containers,
// mounts, control groups, sockets and files, also after its owner was killed.

import { mkdir, mkdtemp, readdir, readFile, realpath, rm, rmdir, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { runProgram } from './processes.ts'
import { waitFor } from './wait.ts'

/** The path of a Unix socket has at most 107 bytes; the rest is for the part below the directory. */
const longestDirectory = 107 - '/exec/libnetwork/123456789012.sock'.length

/**
 * Gives the directory that has the directories of all labs.
 *
 * @returns Its path; it may not exist.
 */
export async function labHome(): Promise<string> {
  return join(await realpath(tmpdir()), 'deployer-lab')
}

/**
 * Creates the directory of a new lab. Its name has the process ID and the start time of its owner, so that
 * other processes can find out whether the owner is alive.
 *
 * @returns The directory.
 */
export async function createLabDirectory(): Promise<string> {
  const home = await labHome()
  await mkdir(home, { recursive: true })
  const started = await processStart(process.pid)
  const directory = await mkdtemp(join(home, `${process.pid}-${started}-`))
  if (Buffer.byteLength(directory) > longestDirectory) {
    await rm(directory, { recursive: true })
    throw new Error(
      `Could not make a lab in "${home}": sockets in it would have too long a path; set TMPDIR to a shorter one`,
    )
  }
  return directory
}

/**
 * Removes the labs whose owners are not alive.
 *
 * @param log Gets a line for each of these labs, and for each failure.
 */
export async function removeDeadLabs(log: (line: string) => void): Promise<void> {
  const home = await labHome()
  for (const name of await entries(home)) {
    const [pid, started] = name.split('-')
    if (started === undefined || (await processStart(Number(pid))) === started) continue
    log(`Removing the lab of process ${pid}, which has ended`)
    await removeLab(join(home, name)).catch((error: unknown) => log(String(error)))
  }
}

/**
 * Removes one lab, running or not.
 *
 * @param directory The lab's directory.
 */
export async function removeLab(directory: string): Promise<void> {
  await killProcesses(directory)
  await unmountAll(directory)
  await removeShimSockets(directory)
  await removeControlGroups(controlGroup(directory))
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

/**
 * Gives the control group of the lab's containers.
 *
 * @param directory The lab's directory.
 * @returns Its name, without a slash.
 */
export function controlGroup(directory: string): string {
  return `deployer-lab-${basename(directory)}`
}

/**
 * Finds the processes that belong to a lab: those with its variable, or a directory in it, in their
 * environment, and those in its containers.
 *
 * @param directory The lab's directory.
 * @returns Their process IDs, with their command lines.
 */
export async function labProcesses(
  directory: string,
): Promise<readonly { readonly pid: number; readonly command: string }[]> {
  const mark = `DEPLOYER_LAB=${directory}`
  const group = `/${controlGroup(directory)}/`
  const found = []
  for (const name of await entries('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const environment = (await contents(`/proc/${pid}/environ`)).split('\0')
    const isOurs =
      environment.some((entry) => entry === mark || entry.startsWith(`${mark}/`)) ||
      (await contents(`/proc/${pid}/cgroup`)).includes(group)
    if (!isOurs) continue
    // A zombie has no command line, and cannot be killed.
    const command = (await contents(`/proc/${pid}/cmdline`)).replaceAll('\0', ' ').trim()
    if (command !== '') found.push({ pid, command })
  }
  return found
}

/**
 * Lists the mount points in a directory.
 *
 * @param directory The directory.
 * @returns The mount points, the newest first.
 */
export async function mountsBelow(directory: string): Promise<readonly string[]> {
  const table = await contents('/proc/self/mountinfo')
  const points = table.split('\n').map((line) => unescapeMount(line.split(' ')[4] ?? ''))
  return points
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
    .reverse()
}

async function killProcesses(directory: string): Promise<void> {
  await waitFor(
    `the processes of the lab in "${directory}" to end`,
    async () => {
      const processes = await labProcesses(directory)
      for (const { pid } of processes) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended.
        }
      }
      return processes.length === 0
    },
    {
      timeoutMs: 15_000,
      describe: async () => JSON.stringify(await labProcesses(directory)),
    },
  )
}

async function unmountAll(directory: string): Promise<void> {
  for (const point of await mountsBelow(directory)) {
    await runProgram('umount', ['-l', point]).catch(() => {})
  }
  const left = await mountsBelow(directory)
  if (left.length > 0) throw new Error(`Could not unmount ${left.join(', ')}: unmount them by hand`)
}

/** A killed containerd shim leaves a socket outside the lab, whose path is in its bundle. */
async function removeShimSockets(directory: string): Promise<void> {
  const bundles = join(directory, 'containerd/state/io.containerd.runtime.v2.task/moby')
  for (const id of await entries(bundles)) {
    const address = (await contents(join(bundles, id, 'address'))).trim()
    if (address.startsWith('unix:///'))
      await unlink(address.slice('unix://'.length)).catch(() => {})
  }
}

async function removeControlGroups(group: string): Promise<void> {
  const root = '/sys/fs/cgroup'
  const hierarchies = [root, ...(await entries(root)).map((name) => join(root, name))]
  for (const hierarchy of hierarchies) await removeGroupTree(join(hierarchy, group))
}

async function removeGroupTree(path: string): Promise<void> {
  for (const child of await folders(path)) await removeGroupTree(join(path, child))
  await rmdir(path).catch(() => {})
}

/** Start time of a process in clock ticks since boot. Together with the process ID it is unique. */
async function processStart(pid: number): Promise<string | undefined> {
  const stat = await contents(`/proc/${pid}/stat`)
  // The second field, the name of the program in parentheses, may contain spaces. Field 22 is the start time.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' ? undefined : fields[18]
}

function unescapeMount(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

function contents(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

function entries(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => [])
}

async function folders(path: string): Promise<readonly string[]> {
  const children = await readdir(path, { withFileTypes: true }).catch(() => [])
  return children.filter((child) => child.isDirectory()).map((child) => child.name)
}
