// `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`: how the Docker Engine is reached.

import { createSecureContext } from 'node:tls'
import { errorMessage } from '../../text/error-message.ts'
import type { DockerTls } from '../docker/connection-options.ts'
import { DOCKER_HOST_FORMS, parseDockerHost } from '../docker/docker-host.ts'
import type { SettingSource } from './setting-source.ts'
import { type SettingsIssues, shown } from './settings-issue.ts'

/** How the Docker Engine is reached. */
export interface DockerHostSettings {
  readonly dockerHost: string
  /** Undefined: without TLS. */
  readonly tls?: DockerTls
}

/**
 * Reads and checks the address of the engine and the certificates for TLS.
 *
 * @param source The source of the settings.
 * @returns The settings; undefined, with errors among the issues, if one cannot be used.
 */
export function readDockerHost(source: SettingSource): DockerHostSettings | undefined {
  const { value, issues } = source
  const dockerHost = value('DOCKER_HOST')
  const tls = readTls(source)
  if (parseDockerHost(dockerHost, tls !== undefined) === undefined) {
    return issues.error(
      'DOCKER_HOST',
      `is ${shown(dockerHost)}: it must be like ${DOCKER_HOST_FORMS}`,
    )
  }
  return { dockerHost, ...(tls === undefined ? {} : { tls }) }
}

/**
 * As in Docker's Go client, a certificate path turns on TLS. Other than there, the daemon's
 * certificate is verified without `DOCKER_TLS_VERIFY` too, and that variable alone means `~/.docker`,
 * as it does for Docker's command line.
 */
function readTls({ value, readFile, home, issues }: SettingSource): DockerTls | undefined {
  const isRequested = value('DOCKER_TLS_VERIFY') !== '' || value('DOCKER_CERT_PATH') !== ''
  if (!isRequested || !value('DOCKER_HOST').startsWith('tcp://')) {
    return undefined
  }
  const directory = value('DOCKER_CERT_PATH') || `${home()}/.docker`
  const read = (name: string): string => {
    try {
      return readFile(`${directory}/${name}`)
    } catch (error) {
      issues.error(
        'DOCKER_CERT_PATH',
        `is ${shown(directory)}, but ${name} cannot be read (${errorMessage(error)}): put ca.pem, cert.pem and key.pem there`,
      )
      return ''
    }
  }
  const tls = { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }
  if (tls.ca !== '' && tls.cert !== '' && tls.key !== '') {
    checkTls(tls, directory, issues)
  }
  return tls
}

/** Without this check, certificates that OpenSSL cannot use would look like an unreachable engine. */
function checkTls(tls: DockerTls, directory: string, issues: SettingsIssues): void {
  try {
    createSecureContext(tls)
  } catch (error) {
    issues.error(
      'DOCKER_CERT_PATH',
      `is ${shown(directory)}, but its ca.pem, cert.pem and key.pem cannot be used (${errorMessage(error)}): they must be PEM, and the key must belong to the certificate`,
    )
  }
}
