// A minimal HTTP server between a caller and the engine that makes the same engine calls, without
// token, log, message and error handling. It shows the cost of one more hop.

import { createServer } from 'node:http'
import { createBareEngine } from './bare-engine.ts'

const [port = '', socketPath = ''] = process.argv.slice(2)
const engine = createBareEngine(socketPath, 64)

createServer((request, response) => {
  let body = ''
  request.on('data', (data) => {
    body += data
  })
  request.on('end', () => {
    const service = request.url?.split('/').at(-1) ?? ''
    engine.deploy(service, JSON.parse(body).image).then(
      () => response.end('{}'),
      () => response.writeHead(500).end('{}'),
    )
  })
}).listen(Number(port), '127.0.0.1')
