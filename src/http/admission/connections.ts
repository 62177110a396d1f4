// How many clients may be connected at once. Without a limit those who only connect take every file that this process may open, and then
// neither the database, nor a log file, nor even its own memory can be looked at any more: Node ends a process to which that happens.

import { readFile } from 'node:fs/promises'
import fp from 'fastify-plugin'

export type ConnectionsOptions = {
  /** Of the configuration; fewer where the system allows fewer open files. */
  max: number
  /** Files and connections that this process needs for itself. */
  reserved: number
  /** Open files that the system allows; read from the system where not given. */
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

/** Infinity where the system does not tell. */
async function readOpenFilesMax(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
}
