// A server that answers 401 to each request: Hono on the same HTTP server as Deployer, with the
// same limits on connections.

import type { Server } from 'node:http'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { limitConnections } from '../../src/node/server/connections.ts'

const app = new Hono()
app.put('/service/:name', (c) => c.text('Unauthorized', 401))
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) })
limitConnections(server as Server)
