// The embedded PostgreSQL as a server of its own, for benches that query it themselves or stop it.

import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/database/embedded/server.ts'
import { type Server, startService } from './service.ts'

export type Postgres = { url: string; stop: () => Promise<unknown> }

/** Again in the same directory it is the same database, at the same address. */
export async function startPostgres(scratch: string): Promise<Postgres> {
  const dataDir = join(scratch, 'database')
  await mkdir(dataDir, { recursive: true })
  await chmod(dataDir, 0o711)
  const postgres = await startEmbeddedPostgres({ dataDir, log: { info() {}, warn() {}, error: console.error } })
  const { host, port, user, database } = postgres.connection
  const url = `postgres://${user}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
  return { url, stop: postgres.stop }
}

/** A service on a database that the bench can query; stops the database when `work` is done. */
export async function withDatabase(
  scratch: string,
  work: (service: Server, client: pg.Client) => Promise<void>,
): Promise<void> {
  const postgres = await startPostgres(scratch)
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  try {
    await work(await startService(scratch, { DATABASE_URL: postgres.url }), client)
  } finally {
    await client.end()
    await postgres.stop()
  }
}
