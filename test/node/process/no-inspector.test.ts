// SIGUSR1, which by default makes Node open its inspector, through which the token could be read.

import { expect, test, vi } from 'vitest'
import { curl } from '../../support/curl.ts'
import { startDeployer } from '../../support/deployer-process.ts'
import { listeningPorts } from '../../support/listening-ports.ts'
import { spawnOwned } from '../../support/owned-process.ts'

const PATIENCE = { timeout: 40_000 }

test('SIGUSR1 does not open the inspector, and the process continues', async () => {
  const deployer = startDeployer({ env: { TOKEN: 'x', DOCKER_HOST: 'unix:///nonexistent' } })
  const url = await deployer.url()
  // A process without a handler shows when Node has handled the signal.
  const other = spawnOwned(
    process.execPath,
    ['-e', 'setInterval(() => {}, 1000); console.log(1)'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let started = ''
  let warning = ''
  other.stdout?.on('data', (data) => {
    started += data
  })
  other.stderr?.on('data', (data) => {
    warning += data
  })
  await vi.waitFor(() => expect(started).toBe('1\n'), PATIENCE)

  for (let round = 1; round <= 3; round += 1) {
    deployer.kill('SIGUSR1')
  }
  other.kill('SIGUSR1')
  await vi.waitFor(() => expect(warning).toMatch(/debugger|inspector/i), PATIENCE)
  other.kill('SIGKILL')

  expect((await curl(url)).status).toBe(404)
  expect(listeningPorts(deployer.pid)).toEqual([Number(new URL(url).port)])
  expect(deployer.output.stderr).toBe('')
  deployer.kill('SIGTERM')
  expect((await deployer.ended()).status).toBe(0)
}, 60_000)
