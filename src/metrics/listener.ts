// A second port that serves only the scraper and the probes, for networks that separate them from the public port. The
// app itself handles the requests, so tokens and answers are the same.

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

const connectionsMax = 50
const served = /^\/(metrics|health|health\/live|health\/ready|live|liveness|ready|readiness|status)\/?(\?|$)/

export function createMetricsListener(handle: RequestListener) {
  const server = createServer((request, response) => {
    if (served.test(request.url ?? '')) return handle(request, response)
    response.writeHead(404, { 'content-type': 'application/json; charset=utf-8' })
    response.end('{"error":"not found","code":"not_found"}')
  })

  server.maxConnections = connectionsMax

  return {
    /** Resolves with the port; rejects if it cannot listen there. */
    async listen(host: string, port: number): Promise<number> {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, resolve)
      })
      return (server.address() as AddressInfo).port
    },
    async close(): Promise<void> {
      if (!server.listening) return
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
