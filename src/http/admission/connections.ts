// Limits how many clients may be connected at once. Without a limit, clients that only connect could use up all files
// that this process may open. Then it could open neither database connections nor log files, nor even read its own
// memory usage, and Node ends the process.

import { readFile } from 'node:fs/promises'
import fp from 'fastify-plugin'

export type ConnectionsOptions = {
  /** The configured limit; lower if the system allows fewer open files. */
  max: number
  /** Files and connections that this process needs for itself. */
  reserved: number
  /** Open files that the system allows; read from the system by default. */
  openFilesMax?: number
}

const leastClients = 16
const toldEveryMs = 60_000

export const connectionsPlugin = fp<ConnectionsOptions>(
  async (app, { max, reserved, openFilesMax }) => {
    const { connectionsRefused } = app.domainMetrics
    const allowed = openFilesMax ?? (await readOpenFilesMax())
    const clients = Math.min(max, Math.max(leastClients, allowed - reserved))
    app.server.maxConnections = clients
    let quietUntil = 0
    app.server.on('drop', () => {
      connectionsRefused.inc()
      if (performance.now() < quietUntil) return
      quietUntil = performance.now() + toldEveryMs
      app.log.warn({ event: 'connections.refused', max: clients }, 'too many connections')
    })
  },
  { name: 'http-connections', dependencies: ['metrics'] },
)

/** Infinity if the system does not say. */
async function readOpenFilesMax(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
}
