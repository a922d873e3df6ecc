// Connections to a Docker daemon other than its socket: TCP, TCP with TLS, and ssh.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CurlAnswer, curl } from '../support/curl.ts'
import { startDeployer } from '../support/deployer-process.ts'
import { spawnOwned } from '../support/owned-process.ts'
import { type Lab, raiseLab } from './lab.ts'
import { freePorts, isListening } from './ports.ts'
import { waitFor } from './wait.ts'

const scratch = join('/tmp', `deployer-connections-${process.pid}`)
const processes: { kill(signal: NodeJS.Signals): unknown }[] = []
let deployments = 0
let lab: Lab
let plainPort = 0
let tlsPort = 0

beforeAll(async () => {
  mkdirSync(scratch, { recursive: true })
  ;[plainPort = 0, tlsPort = 0] = await freePorts(2)
  makeCertificates()
  lab = await raiseLab({
    engineFlags: [
      `--host=tcp://127.0.0.1:${tlsPort}`,
      '--tlsverify',
      ...['cacert=ca', 'cert=server-cert', 'key=server-key'].map((flag) => {
        const [name, file] = flag.split('=')
        return `--tls${name}=${scratch}/${file}.pem`
      }),
    ],
  })
  const image = lab.image('lab/app:v1')
  const labels = { 'deployer.allowUpdates': 'true' }
  await lab.createService({ name: 'blog', image, labels, replicas: 0 })
})

afterAll(async () => {
  for (const process of processes) {
    process.kill('SIGKILL')
  }
  await lab.down()
  execFileSync('rm', ['-rf', scratch])
})

async function deployWith(env: Readonly<Record<string, string>>): Promise<CurlAnswer> {
  const deployer = startDeployer({ env: { TOKEN: 'x', ...env } })
  processes.push(deployer)
  deployments += 1
  const body = JSON.stringify({ image: lab.image(`lab/app:v${1 + (deployments % 3)}`) })
  const url = `${await deployer.url()}/service/blog`
  return curl('-X', 'PUT', '-H', 'Authorization: x', '-d', body, url)
}

describe('tcp:// with TLS', () => {
  const certificates = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: scratch }

  test('a daemon that requires client certificates gets them, and its certificate is verified', async () => {
    const DOCKER_HOST = `tcp://127.0.0.1:${tlsPort}`
    expect((await deployWith({ DOCKER_HOST, ...certificates })).status).toBe(200)
    expect((await deployWith({ DOCKER_HOST, DOCKER_CERT_PATH: scratch })).status).toBe(200)
  })

  test('without client certificates the deployment fails', async () => {
    const answer = await deployWith({ DOCKER_HOST: `tcp://127.0.0.1:${tlsPort}` })
    expect(answer.status).toBeGreaterThanOrEqual(502)
  })

  test('a daemon whose certificate has another issuer or another name is rejected', async () => {
    const other = join(scratch, 'other')
    mkdirSync(other)
    makeAuthority(other)
    for (const file of ['cert.pem', 'key.pem']) {
      writeFileSync(join(other, file), readFileSync(join(scratch, file)))
    }
    const foreign = await deployWith({
      DOCKER_HOST: `tcp://127.0.0.1:${tlsPort}`,
      DOCKER_CERT_PATH: other,
    })
    expect([foreign.status, foreign.body.code]).toEqual([503, 'engine-unreachable'])
    expect(foreign.body.detail).toMatch(/certificate/)
    const misnamed = await deployWith({
      DOCKER_HOST: `tcp://localhost:${tlsPort}`,
      ...certificates,
    })
    expect(misnamed.body.detail).toMatch(/does not match certificate/)
  })
})

test('tcp:// without TLS reaches the daemon', async () => {
  // The lab's daemon requires TLS on TCP, so this relay forwards plain TCP to its Unix socket.
  const relay = spawnOwned(
    process.execPath,
    [
      '-e',
      `const net = require('node:net')
       net.createServer((one) => { const two = net.connect(process.argv[1]); one.pipe(two).pipe(one)
         one.on('error', () => {}); two.on('error', () => {}) }).listen(${plainPort}, '127.0.0.1')`,
      lab.engine.socketPath,
    ],
    { stdio: 'ignore' },
  )
  processes.push(relay)
  await waitFor('the relay', () => isListening(plainPort))
  expect((await deployWith({ DOCKER_HOST: `tcp://127.0.0.1:${plainPort}` })).status).toBe(200)
})

describe('ssh://', () => {
  let sshPort = 0
  let PATH: string

  beforeAll(async () => {
    ;[sshPort = 0] = await freePorts(1)
    PATH = await startSshd(sshPort)
  })

  test('the daemon is reached through the ssh program', async () => {
    const DOCKER_HOST = `ssh://${userInfo().username}@127.0.0.1:${sshPort}`
    expect((await deployWith({ DOCKER_HOST, PATH })).status).toBe(200)
  })

  test('a host whose key is unknown is rejected, and the response has the reason', async () => {
    const DOCKER_HOST = `ssh://${userInfo().username}@localhost:${sshPort}`
    const { status, body } = await deployWith({ DOCKER_HOST, PATH })
    expect([status, body.code]).toEqual([503, 'engine-unreachable'])
    expect(body.detail).toContain('Host key verification failed')
  })
})

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' })
}

/** Creates a self-signed `ca.pem` and its key. */
function makeAuthority(folder: string): void {
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=authority']
  openssl(...request, '-days', '1', '-keyout', `${folder}/ca-key.pem`, '-out', `${folder}/ca.pem`)
}

/** Creates a CA, a server certificate for 127.0.0.1 and a client certificate, as in Docker's documentation. */
function makeCertificates(): void {
  const file = (name: string): string => join(scratch, name)
  const days = ['-days', '1']
  makeAuthority(scratch)
  for (const [cert, key, extension] of [
    ['server-cert.pem', 'server-key.pem', 'subjectAltName=IP:127.0.0.1'],
    ['cert.pem', 'key.pem', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    writeFileSync(file('extension'), extension)
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      file(key),
      '-out',
      file('csr'),
    )
    openssl(
      'x509',
      '-req',
      ...days,
      '-in',
      file('csr'),
      '-CA',
      file('ca.pem'),
      '-CAkey',
      file('ca-key.pem'),
      '-CAcreateserial',
      '-extfile',
      file('extension'),
      '-out',
      file(cert),
    )
  }
}

/** Starts an sshd on loopback. Gives a PATH whose `ssh` uses the key that this sshd accepts. */
async function startSshd(port: number): Promise<string> {
  const file = (name: string): string => join(scratch, name)
  for (const key of ['host-key', 'user-key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)])
  }
  writeFileSync(file('authorized'), readFileSync(file('user-key.pub')))
  writeFileSync(file('known'), `[127.0.0.1]:${port} ${readFileSync(file('host-key.pub'))}`)
  writeFileSync(
    file('sshd_config'),
    `ListenAddress 127.0.0.1:${port}\nHostKey ${file('host-key')}\nAuthorizedKeysFile ${file('authorized')}\n` +
      `StrictModes no\nPermitRootLogin prohibit-password\nUsePAM no\nPidFile none\nSetEnv DOCKER_HOST=${lab.engine.dockerHost}\n`,
  )
  writeFileSync(
    file('ssh_config'),
    `IdentityFile ${file('user-key')}\nIdentitiesOnly yes\nUserKnownHostsFile ${file('known')}\n`,
  )
  mkdirSync(file('bin'))
  writeFileSync(file('bin/ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${file('ssh_config')} "$@"\n`)
  chmodSync(file('bin/ssh'), 0o755)
  mkdirSync('/run/sshd', { recursive: true })
  const sshd = spawnOwned('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')], {
    stdio: 'ignore',
  })
  processes.push(sshd)
  await waitFor('sshd', () => isListening(port))
  return `${file('bin')}:${process.env.PATH}`
}
