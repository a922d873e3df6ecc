// Makes a fresh checkout ready for its tests: packages, the build and, with --lab, the programs of
// the lab. Runs before anything is installed, so it is plain JavaScript and needs Node only.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * What the lab needs: a file, in the first of the places where it is, and its Debian package. A
 * `service` is kept from starting with the machine, where it would take port 80.
 */
const needs = [
  { paths: ['/usr/sbin/dockerd', '/usr/bin/dockerd'], packages: ['docker.io'] },
  { paths: ['/usr/bin/docker'], packages: ['docker.io', 'docker-cli', 'docker-buildx'] },
  { paths: ['/usr/bin/containerd'], packages: ['docker.io'] },
  { paths: ['/usr/bin/docker-registry'], packages: ['docker-registry'] },
  { paths: ['/usr/bin/beanstalkd'], packages: ['beanstalkd'] },
  { paths: ['/bin/busybox'], packages: ['busybox-static'], isGood: isStatic },
  { paths: ['/usr/sbin/iptables', '/sbin/iptables'], packages: ['iptables'] },
  { paths: ['/usr/bin/ip', '/bin/ip', '/sbin/ip'], packages: ['iproute2'] },
  { paths: ['/usr/sbin/sshd'], packages: ['openssh-server'] },
  { paths: ['/usr/bin/ssh'], packages: ['openssh-client'] },
  { paths: ['/usr/bin/openssl'], packages: ['openssl'] },
  { paths: ['/usr/bin/curl'], packages: ['curl'] },
  { paths: ['/usr/sbin/nginx'], packages: ['nginx'], service: 'nginx' },
  { paths: ['/usr/bin/caddy'], packages: ['caddy'], service: 'caddy' },
  { paths: ['/etc/ssl/certs/ca-certificates.crt'], packages: ['ca-certificates'] },
]

preparePackages()
prepareBuild()
if (process.argv.includes('--lab')) prepareLab()

/** Installs the npm packages, unless what is installed is as new as the lock file. */
function preparePackages() {
  const installed = modifiedAt(join(root, 'node_modules/.package-lock.json'))
  if (installed >= modifiedAt(join(root, 'package-lock.json'))) return say('packages: up to date')
  say('packages: npm ci')
  run('npm', ['ci'])
}

/** Builds `dist`, unless it is as new as the newest source. */
function prepareBuild() {
  const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json']
  const sources = Math.max(newestIn('src'), ...settings.map((file) => modifiedAt(join(root, file))))
  if (newestIn('dist') >= sources) return say('build: up to date')
  say('build: npm run build')
  run('npm', ['run', '--silent', 'build'], {
    // The compiler writes files in spite of errors; the next run must not take them for a build.
    onFailure: () => rmSync(join(root, 'dist'), { recursive: true, force: true }),
  })
}

/** Installs the Debian packages of the programs that the lab needs, unless all are there. */
function prepareLab() {
  const missing = needs.filter((need) => !isMet(need))
  if (missing.length === 0) return say('lab: all programs are here')
  const packages = [...new Set(missing.flatMap((need) => need.packages))]
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    fail(`lab: install ${packages.join(' ')} (as root on Debian or Ubuntu this is done for you)`)
  }
  say('lab: apt-get update')
  apt(['update', '-q=2'])
  // Docker's command line came with docker.io once, and has packages of its own since.
  const known = packages.filter((name) => capture('apt-cache', ['show', name]) !== '')
  refuseRemovals(known)
  say(`lab: apt-get install ${known.join(' ')}`)
  withoutStartingDaemons(() => apt(['install', '-q=2', '-y', '--no-install-recommends', ...known]))
  const services = missing.flatMap(({ service }) => service ?? [])
  if (services.length > 0) capture('systemctl', ['disable', ...services])
  const stillMissing = needs.filter((need) => !isMet(need)).map((need) => need.paths[0])
  if (stillMissing.length > 0) fail(`lab: ${stillMissing.join(', ')} missing, install them by hand`)
}

/**
 * Debian's docker.io would drive out Docker's own packages. That is not for a test to decide; only
 * busybox may give way to its static twin.
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

/** Keeps what is installed from being started, unless the machine has a policy of its own. */
function withoutStartingDaemons(install) {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return install()
  writeFileSync(policy, '#!/bin/sh\nexit 101\n')
  chmodSync(policy, 0o755)
  const restore = () => rmSync(policy, { force: true })
  process.once('exit', restore)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  install()
  restore()
}

function isMet({ paths, isGood = () => true }) {
  return paths.some((path) => existsSync(path) && isGood(path))
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
