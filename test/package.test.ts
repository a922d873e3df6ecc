// The package as npm would publish it: its doors by name, and its executable.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const project = mkdtempSync(join(tmpdir(), 'deployer-package-'))
const installed = join(project, 'node_modules/swarm-deployer')

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: 'pipe' })
}

/** Installed without a registry: the tarball unpacked, its dependencies those of this checkout. */
beforeAll(() => {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'pipe' })
  execFileSync('npm', ['pack', '--silent', '--pack-destination', project], {
    cwd: ROOT,
    stdio: 'pipe',
  })
  mkdirSync(installed, { recursive: true })
  run('tar', '-xzf', `swarm-deployer-${version}.tgz`, '--strip-components=1', '-C', installed)
  symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
}, 60_000)

afterAll(() => rmSync(project, { recursive: true }))

test('both doors open by name, and give what the documents name', () => {
  writeFileSync(
    join(project, 'doors.js'),
    "import * as core from 'swarm-deployer'\nimport * as node from 'swarm-deployer/node'\nconsole.log(JSON.stringify([Object.keys(core), Object.keys(node)]))\n",
  )
  expect(JSON.parse(run('node', 'doors.js'))).toEqual([
    [
      'DeliveryError',
      'DeployerError',
      'createDeployer',
      'createOutbox',
      'createWebhook',
      'defaultBody',
      'deploymentEventNames',
      'problemCodes',
      'urlTemplateError',
    ],
    [
      'TemplateError',
      'createBeanstalkdDestination',
      'createDirectorySpool',
      'createDockerodeSwarm',
      'createEtaRenderer',
      'createRegistryAuthFile',
    ],
  ])
})

test('the executable runs, through a link as npm makes it', () => {
  const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  const link = join(project, 'deployer')
  symlinkSync(join(installed, bin.deployer), link)
  expect(readFileSync(link, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  expect(run('node', link, '--version').trim()).toBe(version)
  expect(run('node', link, '--help')).toContain('--notify-flags')
})
