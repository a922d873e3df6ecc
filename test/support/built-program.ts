// Builds TypeScript programs for tests that start processes. Node runs the result without a loader,
// which halves the time until it listens.

import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, buildSync } from 'esbuild'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
// Below the root, so that `node_modules` is found.
const CACHE = join(ROOT, '.cache/programs')

const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  // Dynamic imports stay dynamic, and files stay where `../../package.json` is the package's.
  splitting: true,
  outdir: 'dist/node',
  write: false,
  logLevel: 'error',
  // The program has imports for their side effects; `sideEffects` of package.json is about the library.
  ignoreAnnotations: true,
} as const satisfies BuildOptions

const built = new Map<string, string>()

/**
 * Builds a program from a file.
 *
 * @param path The absolute path of the TypeScript file.
 * @returns The absolute path of the JavaScript file.
 */
export function builtProgram(path: string): string {
  const known = built.get(path)
  if (known !== undefined) {
    return known
  }
  const program = store({ entryPoints: { program: path } })
  built.set(path, program)
  return program
}

/**
 * Builds a program from its text.
 *
 * @param source TypeScript that imports files by absolute path.
 * @returns The absolute path of the JavaScript file.
 */
export function builtSource(source: string): string {
  return store({ stdin: { contents: source, resolveDir: ROOT, loader: 'ts' } })
}

/**
 * The directory has a name of its content, so that test files that run at the same time share it.
 */
function store(entry: BuildOptions): string {
  const { outputFiles } = buildSync({ ...OPTIONS, ...entry, write: false })
  const hash = createHash('sha256')
  for (const { path, contents } of outputFiles) {
    hash.update(path).update(contents)
  }
  const directory = join(CACHE, hash.digest('hex').slice(0, 16))
  const program = join(
    directory,
    'dist/node',
    entry.stdin === undefined ? 'program.js' : 'stdin.js',
  )
  if (existsSync(program)) {
    return program
  }
  mkdirSync(CACHE, { recursive: true })
  const draft = mkdtempSync(join(CACHE, 'draft-'))
  copyFileSync(join(ROOT, 'package.json'), join(draft, 'package.json'))
  for (const { path, contents } of outputFiles) {
    const file = join(draft, path.slice(ROOT.length))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, contents)
  }
  try {
    renameSync(draft, directory)
  } catch (error) {
    // Another process was faster.
    if (!existsSync(program)) {
      throw error
    }
  }
  return program
}
