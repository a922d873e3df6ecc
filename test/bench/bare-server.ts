// The bare side of a refusal: Hono on the same server, with the same limits of its connections, answering
// 401 without looking.

import type { Server } from 'node:http'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { limitConnections } from '../../src/node/server/connections.ts'

const app = new Hono()
app.put('/service/:name', (c) => c.text('Unauthorized', 401))
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) })
limitConnections(server as Server)
