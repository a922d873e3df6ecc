// Webhook URLs with metadata, at nginx, which decodes a path before it matches locations.

import { mkdtemp, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEtaRenderer } from '../../src/node/eta-renderer.ts'
import { messageData } from '../../src/notification/message-data.ts'
import { webhookUrl } from '../../src/notification/webhook/webhook-url.ts'
import { exampleEvent } from '../support/example-event.ts'
import { freePorts, isListening } from './ports.ts'
import { createDaemon, type Daemon } from './processes.ts'
import { sharedLab } from './shared-lab.ts'

const lab = sharedLab()
let nginx: Daemon
let port = 0

beforeAll(async () => {
  const folder = await mkdtemp(join(lab.directory, 'webhook-paths-'))
  const [free = 0] = await freePorts(1)
  port = free
  const config = `
    daemon off; master_process off; pid nginx.pid; error_log stderr warn;
    events {}
    http {
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy;
      fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      server {
        listen 127.0.0.1:${port};
        location /hooks/ { return 200 "hooks"; }
        location / { return 200 "elsewhere"; }
      }
    }`
  await writeFile(join(folder, 'nginx.conf'), config)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  nginx = createDaemon('nginx', {
    directory: lab.directory,
    args,
    isReady: () => isListening(port),
  })
  await nginx.start()
})

afterAll(() => nginx.kill())

/** Requests a path without normalising it. */
function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => resolve(body))
    })
    sent.on('error', reject).end()
  })
}

const VALUES = [
  ...['me/blog:v2', 'main', 'feature/x', 'a..b', '//evil', '\\evil', '%c3%a9', '?x=#', '@evil'],
  ...['../admin', '../../admin', 'a/../../admin', '..', '%2e%2e/admin', '%252e%252e', '..;/admin'],
]

test('nginx matches locations against the decoded path', async () => {
  expect(await get('/hooks/..%2Fadmin')).toBe('elsewhere')
})

test.each(VALUES)(
  'a URL with the value %j is either below /hooks/ or not requested',
  async (room) => {
    const url = createEtaRenderer(`http://127.0.0.1:${port}/hooks/{{.Meta.room}}`)
    const made = webhookUrl(url, messageData(exampleEvent({ metadata: { room } })))
    if ('url' in made) {
      expect(await get(`${made.url.pathname}${made.url.search}`)).toBe('hooks')
    } else {
      expect(made.error).toMatch(/^a segment of its path/)
    }
  },
)
