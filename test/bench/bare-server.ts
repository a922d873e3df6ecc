// The bare side of a refusal: Hono on the same server, answering 401 without looking.

import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const app = new Hono()
app.put('/service/:name', (c) => c.text('Unauthorized', 401))
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) })
