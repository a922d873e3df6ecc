// Reverse proxies: nginx and Caddy with TLS, with the configuration of docs/ci.md.

import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'
import { freePorts, isListening } from './ports.ts'
import { createDaemon, type Daemon, runProgram } from './processes.ts'

/** A running proxy. */
export interface LabProxy extends Pick<Daemon, 'stop'> {
  /** The URL of Deployer for callers. */
  readonly url: string
  /** Flags of curl for the address and the CA of the proxy. */
  readonly curlFlags: readonly string[]
  /** The same as content of `.curlrc`. */
  readonly curlConfig: string
}

/** Options of a proxy. */
export interface ProxyOptions {
  /** The lab's directory. */
  readonly directory: string
  /** Ports of Deployer on 127.0.0.1, which replace port 9999 of the document. */
  readonly ports: readonly number[]
  /** Path prefix of Deployer. */
  readonly path?: '' | '/cd'
  /** Changes the configuration of the document. */
  readonly edit?: (config: string) => string
}

const HOST = 'deployer.example.com'
const blocks = fencedBlocks('docs/ci.md')

/**
 * Starts nginx.
 *
 * @param options The ports of Deployer, the path prefix and changes.
 * @returns The proxy, listening.
 */
export async function startNginx(options: ProxyOptions): Promise<LabProxy> {
  const { directory, ports, path = '', edit = (config) => config } = options
  const folder = await proxyFolder(directory)
  const [port = 0] = await freePorts(1)
  const server = codeUnder(blocks, 'nginx', { language: 'nginx' })
  const location = codeUnder(blocks, 'Under a path', { language: 'nginx' })
  const documented =
    path === '' ? server : replaced(server, / {2}location[\s\S]*? {2}}\n/, location)
  const inTheLab = [
    [/listen 443/, `listen 127.0.0.1:${port}`],
    [/\/etc\/ssl\/deployer\.crt/, join(folder, 'proxy.crt')],
    [/\/etc\/ssl\/deployer\.key/, join(folder, 'proxy.key')],
    [/127\.0\.0\.1:9999/, 'deployers'],
  ] as const
  const edited = inTheLab.reduce(
    (config, [from, to]) => replaced(config, from, to),
    edit(documented),
  )
  const servers = ports.map((each) => `server 127.0.0.1:${each};`).join(' ')
  // Worker processes would not have the environment of the lab.
  const config = `
    daemon off; master_process off; pid nginx.pid; error_log stderr warn;
    events {}
    http {
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy;
      fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      upstream deployers { ${servers} }
      ${edited}
    }`
  await writeFile(join(folder, 'nginx.conf'), config)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  return start('nginx', { directory, folder, port, path, args })
}

/**
 * Starts Caddy.
 *
 * @param options The ports of Deployer, the path prefix and changes.
 * @returns The proxy, listening.
 */
export async function startCaddy(options: ProxyOptions): Promise<LabProxy> {
  const { directory, ports, path = '', edit = (config) => config } = options
  const folder = await proxyFolder(directory)
  const [port = 0] = await freePorts(1)
  const site = codeUnder(blocks, 'Caddy', { language: 'caddyfile' })
  const inPath = codeUnder(blocks, 'Under a path', { language: 'caddyfile' })
  const documented = path === '' ? site : inPath
  const tls = `tls ${join(folder, 'proxy.crt')} ${join(folder, 'proxy.key')}`
  const inTheLab = [
    [/^(deployer\.)?example\.com {\n/, `https://${HOST}:${port} {\n\tbind 127.0.0.1\n\t${tls}\n`],
    [/127\.0\.0\.1:9999/, ports.map((each) => `127.0.0.1:${each}`).join(' ')],
  ] as const
  const edited = inTheLab.reduce(
    (config, [from, to]) => replaced(config, from, to),
    edit(documented),
  )
  // No requests for certificates, no other port, and no long wait for connections at the end.
  const config = `{
	admin off
	auto_https off
	grace_period 1s
	storage file_system ${join(folder, 'storage')}
}
${edited}`
  await writeFile(join(folder, 'Caddyfile'), config)
  const args = ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
  return start('caddy', { directory, folder, port, path, args })
}

interface StartOptions {
  readonly directory: string
  readonly folder: string
  readonly port: number
  readonly path: string
  readonly args: readonly string[]
}

async function start(
  program: string,
  { directory, folder, port, path, args }: StartOptions,
): Promise<LabProxy> {
  const daemon = createDaemon(program, { directory, args, isReady: () => isListening(port) })
  await daemon.start()
  const resolve = `${HOST}:${port}:127.0.0.1`
  const authority = join(folder, 'ca.crt')
  return {
    url: `https://${HOST}:${port}${path}`,
    curlFlags: ['--resolve', resolve, '--cacert', authority],
    curlConfig: `resolve = "${resolve}"\ncacert = "${authority}"\n`,
    stop: daemon.stop,
  }
}

/** Creates a folder with a CA and a certificate for the proxy. */
async function proxyFolder(directory: string): Promise<string> {
  const folder = await mkdtemp(join(directory, 'proxy-'))
  const openssl = (...args: readonly string[]): Promise<unknown> =>
    runProgram('openssl', args, { cwd: folder })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const request = ['req', '-x509', ...key, '-days', '2', '-batch', '-subj']
  await openssl(...request, '/CN=The lab', '-keyout', 'ca.key', '-out', 'ca.crt')
  await openssl(
    ...request,
    `/CN=${HOST}`,
    ...['-addext', `subjectAltName=DNS:${HOST}`, '-addext', 'basicConstraints=critical,CA:false'],
    ...['-CA', 'ca.crt', '-CAkey', 'ca.key', '-keyout', 'proxy.key', '-out', 'proxy.crt'],
  )
  return folder
}

/** Replaces a part that must exist. */
function replaced(text: string, from: RegExp, to: string): string {
  if (!from.test(text)) throw new Error(`docs/ci.md does not contain ${from}:\n${text}`)
  return text.replace(from, () => to)
}
