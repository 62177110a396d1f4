// A PostgreSQL server for one test, which can be stopped and started.

import type { TestContext } from 'node:test'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/database/embedded/server.ts'
import { directory } from '../../database/fixtures/embedded.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** Always at the same address. */
export async function ownPostgres(t: TestContext) {
  const dataDir = await directory(t)
  let running: EmbeddedPostgres | undefined
  const start = async () => {
    running = await startEmbeddedPostgres({ dataDir, log: quiet })
    const { host, port, user, database } = running.connection
    return `postgres://${user}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
  }
  const stop = async () => {
    await running?.stop()
    running = undefined
  }
  t.after(stop)
  return { url: await start(), start, stop }
}
