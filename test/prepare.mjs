// Prepares a checkout for its tests: npm packages, the build and, with --lab or --demo, the programs that
// the lab or the demo uses. It runs before any package is installed, so it is JavaScript that needs Node
// only.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * The programs of the lab: the places where each may be, and the Debian packages that it may be in. The
 * demo uses only those with `demo`.
 */
const programs = [
  { paths: ['/usr/sbin/dockerd', '/usr/bin/dockerd'], packages: ['docker.io'], demo: true },
  {
    paths: ['/usr/bin/docker'],
    packages: ['docker.io', 'docker-cli', 'docker-buildx'],
    demo: true,
  },
  { paths: ['/usr/bin/containerd'], packages: ['docker.io'], demo: true },
  { paths: ['/usr/bin/docker-registry'], packages: ['docker-registry'], demo: true },
  { paths: ['/usr/bin/beanstalkd'], packages: ['beanstalkd'], demo: true },
  { paths: ['/bin/busybox'], packages: ['busybox-static'], isUsable: isStatic, demo: true },
  { paths: ['/usr/bin/curl'], packages: ['curl'], demo: true },
  { paths: ['/usr/sbin/iptables', '/sbin/iptables'], packages: ['iptables'] },
  { paths: ['/usr/bin/ip', '/bin/ip', '/sbin/ip'], packages: ['iproute2'] },
  { paths: ['/usr/sbin/sshd'], packages: ['openssh-server'] },
  { paths: ['/usr/bin/ssh'], packages: ['openssh-client'] },
  { paths: ['/usr/bin/openssl'], packages: ['openssl'] },
  { paths: ['/usr/sbin/nginx'], packages: ['nginx'] },
  { paths: ['/usr/bin/caddy'], packages: ['caddy'] },
  { paths: ['/etc/ssl/certs/ca-certificates.crt'], packages: ['ca-certificates'] },
]

preparePackages()
prepareBuild()
if (process.argv.includes('--lab')) preparePrograms(programs)
if (process.argv.includes('--demo')) preparePrograms(programs.filter(({ demo }) => demo))

/** Installs the npm packages, unless the installed ones are newer than the lock file. */
function preparePackages() {
  const installed = modifiedAt(join(root, 'node_modules/.package-lock.json'))
  if (installed >= modifiedAt(join(root, 'package-lock.json'))) return say('packages: up to date')
  say('packages: npm ci')
  run('npm', ['ci'])
}

/** Builds `dist`, unless it is newer than every source file. */
function prepareBuild() {
  const configs = ['build.mjs', 'package.json', 'tsconfig.json', 'tsconfig.build.json']
  const sources = Math.max(newestIn('src'), ...configs.map((file) => modifiedAt(join(root, file))))
  if (newestIn('dist') >= sources) return say('build: up to date')
  say('build: npm run build')
  run('npm', ['run', '--silent', 'build'], {
    // The compiler writes files despite errors; the next run must not take them for a build.
    onFailure: () => rmSync(join(root, 'dist'), { recursive: true, force: true }),
  })
}

/** Installs the Debian packages of programs that are missing. */
function preparePrograms(needed) {
  const missing = needed.filter((program) => !isInstalled(program))
  if (missing.length === 0) return say('lab: all programs are installed')
  const packages = [...new Set(missing.flatMap((program) => program.packages))]
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    fail(`lab: install ${packages.join(' ')} (root on Debian or Ubuntu gets them installed)`)
  }
  say('lab: apt-get update')
  apt(['update', '-q=2'])
  // Some releases have the Docker CLI in docker.io, others in packages of its own.
  const known = packages.filter((name) => capture('apt-cache', ['show', name]) !== '')
  refuseRemovals(known)
  say(`lab: apt-get install ${known.join(' ')}`)
  withoutServices(() => apt(['install', '-q=2', '-y', '--no-install-recommends', ...known]))
  const failed = needed.filter((program) => !isInstalled(program)).map(({ paths }) => paths[0])
  if (failed.length > 0) fail(`lab: ${failed.join(', ')} missing: install them by hand`)
}

/**
 * Debian's docker.io conflicts with Docker's own packages, which must stay. Only busybox may be replaced,
 * by busybox-static.
 */
function refuseRemovals(packages) {
  const plan = capture('apt-get', ['install', '-s', '--no-install-recommends', ...packages])
  const removals = [...plan.matchAll(/^Remv (\S+)/gm)].map(([, name]) => name)
  const others = removals.filter((name) => name !== 'busybox')
  if (others.length === 0) return
  fail(
    `lab: ${packages.join(' ')} would remove ${others.join(' ')}: install or remove them by hand`,
  )
}

/**
 * Debian packages start their services and enable them for the next boot. The lab starts its own daemons,
 * so the services of the packages that `install` adds are neither running nor enabled afterwards, also when
 * `install` fails. The services of packages that were installed before are not changed.
 */
function withoutServices(install) {
  const before = installedPackages()
  const policy = '/usr/sbin/policy-rc.d'
  const hasPolicy = existsSync(policy)
  // A policy of the machine stays, and may allow packages to start their services.
  if (!hasPolicy) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n')
    chmodSync(policy, 0o755)
  }
  const finish = () => {
    const added = [...installedPackages()].filter((name) => !before.has(name))
    disableServices(added, { isStarted: hasPolicy })
    if (!hasPolicy) rmSync(policy, { force: true })
  }
  process.once('exit', finish)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  install()
  process.removeListener('exit', finish)
  finish()
}

function installedPackages() {
  // The first column of `dpkg -l`: `ii` is installed; after a failure it may be half installed.
  const lines = capture('dpkg', ['-l']).matchAll(/^.[iUFHWt]. *(\S+)/gm)
  return new Set([...lines].map(([, name]) => name))
}

/** Disables the services of packages, for systemd and for init scripts, and stops those that were started. */
function disableServices(packages, { isStarted }) {
  if (packages.length === 0) return
  const files = capture('dpkg', ['-L', ...packages]).split('\n')
  const namesIn = (pattern) => files.flatMap((file) => pattern.exec(file)?.[1] ?? [])
  // Templates (`name@.service`) are not enabled themselves.
  const units = namesIn(/\/systemd\/system\/([^/@]+\.(?:service|socket|timer))$/)
  const scripts = namesIn(/^\/etc\/init\.d\/([^/]+)$/)
  const isSystemdRunning = existsSync('/run/systemd/system')
  if (units.length > 0) capture('systemctl', ['disable', ...units])
  if (isStarted && isSystemdRunning) capture('systemctl', ['stop', ...units])
  for (const script of scripts) {
    capture('update-rc.d', [script, 'disable'])
    if (isStarted && !isSystemdRunning) capture('service', [script, 'stop'])
  }
}

function isInstalled({ paths, isUsable = () => true }) {
  return paths.some((path) => existsSync(path) && isUsable(path))
}

/** `ldd` fails for a program that needs no shared library. */
function isStatic(path) {
  return spawnSync('ldd', [path]).status === 1
}

function newestIn(folder) {
  const path = join(root, folder)
  if (!existsSync(path)) return 0
  const files = readdirSync(path, { recursive: true }).map((name) => join(path, name))
  return Math.max(0, ...files.map(modifiedAt))
}

function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function apt(args) {
  run('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

function run(program, args, { onFailure = () => {}, ...options } = {}) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options })
  if (status === 0) return
  onFailure()
  fail(`\`${program} ${args.join(' ')}\` failed: ${error?.message ?? `it ended with ${status}`}`)
}

function capture(program, args) {
  return spawnSync(program, args, { encoding: 'utf8' }).stdout ?? ''
}

function say(line) {
  console.log(`prepare: ${line}`)
}

function fail(line) {
  console.error(`prepare: ${line}`)
  process.exit(1)
}
