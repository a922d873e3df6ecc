// The Docker Engine of another Debian suite than the installed one. Its packages are unpacked and not
// installed, so the machine is not changed; they are kept for the next lab.

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { labHome } from './leftovers.ts'
import { runProgram } from './processes.ts'

/** Debian packages, and where they have the programs that an engine needs. `runc` is the machine's. */
const packages = ['docker.io', 'containerd']
const programs = [
  'usr/sbin/dockerd',
  'usr/sbin/docker-proxy',
  'usr/bin/containerd',
  'usr/bin/containerd-shim-runc-v2',
]

/** The keys of Debian's archive, as the package `debian-archive-keyring` has them. */
const keyrings = ['pgp', 'gpg'].map((type) => `/usr/share/keyrings/debian-archive-keyring.${type}`)

const fetches = new Map<string, Promise<readonly string[]>>()

/**
 * Gives the programs of the engine in a Debian suite, and fetches them when they are not cached. The
 * packages come from the Debian mirror in this machine's own apt sources; apt checks them against the
 * hashes in the mirror's signed index.
 *
 * @param suite A Debian suite, as in `trixie`.
 * @returns Directories with `dockerd`, `containerd` and what they start, except `runc`.
 * @throws Error when the packages cannot be fetched.
 */
export function enginePrograms(suite: string): Promise<readonly string[]> {
  const known = fetches.get(suite)
  if (known !== undefined) return known
  const fetching = findOrFetch(suite)
  fetches.set(suite, fetching)
  return fetching
}

async function findOrFetch(suite: string): Promise<readonly string[]> {
  const cached = join(await createCache(), suite)
  if (!hasPrograms(cached)) await fetchPrograms(suite, cached)
  return ['usr/sbin', 'usr/bin'].map((path) => join(cached, path))
}

async function fetchPrograms(suite: string, cached: string): Promise<void> {
  const scratch = await mkdtemp(join(dirname(cached), `.${suite}-`))
  try {
    await download(scratch, suite)
    await keep(await unpack(scratch), cached)
  } catch (cause) {
    throw new Error(`Could not fetch the Docker Engine of Debian's suite "${suite}"`, { cause })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/**
 * Creates the directory of the fetched engines. The lab runs its programs as root, so nobody else may be
 * able to put programs into it.
 */
async function createCache(): Promise<string> {
  const parent = await labHome()
  const home = join(parent, 'engines')
  await mkdir(home, { recursive: true })
  for (const directory of [parent, home]) {
    const { uid, mode } = await stat(directory)
    if (uid !== process.getuid?.() || (mode & 0o002) !== 0) {
      throw new Error(`Others can write into "${directory}": remove it`)
    }
  }
  return home
}

function hasPrograms(directory: string): boolean {
  return programs.every((program) => existsSync(join(directory, program)))
}

/** Downloads the packages into a directory, with lists and a cache of apt that are used for nothing else. */
async function download(directory: string, suite: string): Promise<void> {
  const sources = join(directory, 'suite.sources')
  const keyring = keyrings.find((path) => existsSync(path))
  if (keyring === undefined) throw new Error('Install debian-archive-keyring')
  const source = {
    Types: 'deb',
    URIs: await findMirror(),
    Suites: suite,
    Components: 'main',
    Targets: 'Packages',
    'Signed-By': keyring,
  }
  const fields = Object.entries(source).map(([name, value]) => `${name}: ${value}\n`)
  await writeFile(sources, fields.join(''))
  await writeFile(join(directory, 'status'), '')
  await mkdir(join(directory, 'lists/partial'), { recursive: true })
  await mkdir(join(directory, 'cache/archives/partial'), { recursive: true })
  const settings = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State': directory,
    'Dir::State::Lists': join(directory, 'lists'),
    'Dir::State::Status': join(directory, 'status'),
    'Dir::Cache': join(directory, 'cache'),
    // Its own user for downloads cannot write into the directory.
    'APT::Sandbox::User': 'root',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await runApt([...options, 'update', '-q=2'], directory)
  await runApt([...options, 'download', '-q=2', ...packages], directory)
}

/** Finds the address of Debian's packages in the sources of this machine. */
async function findMirror(): Promise<string> {
  const known = await debianAddresses()
  // Without lists, as in a fresh container, apt does not know whose packages a source has.
  if (known[0] === undefined) await runApt(['update', '-q=2'])
  const [address] = known[0] === undefined ? await debianAddresses() : known
  if (address === undefined) throw new Error("The apt sources of this machine have no Debian's")
  return address
}

async function debianAddresses(): Promise<readonly string[]> {
  const format = '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)'
  const { stdout } = await runProgram('/usr/bin/apt-get', [
    'indextargets',
    '--format',
    format,
    'Created-By: Packages',
  ])
  return [...stdout.matchAll(/^Debian Debian main (\S+)$/gm)].map(([, address = '']) => address)
}

/** Unpacks the downloaded packages; gives the directory that has them. */
async function unpack(directory: string): Promise<string> {
  const root = join(directory, 'root')
  const files = (await readdir(directory)).filter((name) => name.endsWith('.deb'))
  for (const file of files) await runProgram('/usr/bin/dpkg', ['-x', join(directory, file), root])
  if (!hasPrograms(root)) throw new Error(`${files.join(', ')} have no ${programs.join(', ')}`)
  return root
}

/** Another process may have fetched the same engine at the same time. */
async function keep(root: string, cached: string): Promise<void> {
  if (!hasPrograms(cached)) await rm(cached, { recursive: true, force: true })
  await rename(root, cached).catch((error: unknown) => {
    if (!hasPrograms(cached)) throw error
  })
}

async function runApt(args: readonly string[], cwd?: string): Promise<void> {
  await runProgram('/usr/bin/apt-get', args, {
    ...(cwd === undefined ? {} : { cwd }),
    timeoutMs: 600_000,
  })
}
