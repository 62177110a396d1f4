// The database for commands, without the service: at DATABASE_URL, or the embedded one, which a service may be using.

import { access } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { Config } from '../config/load.ts'
import { createClock } from './clock.ts'
import type { Queryable } from './connection/client.ts'
import { columnTypes } from './connection/column-types.ts'
import type { EmbeddedLog } from './embedded/cluster.ts'
import { ClusterTakenError, EmbeddedPostgresError } from './embedded/error.ts'
import { readPostmasterFile } from './embedded/lock-files.ts'
import { ownerLockHeld } from './embedded/ownership.ts'
import { startEmbeddedPostgres } from './embedded/server.ts'
import type { DatabaseSession } from './service.ts'

export type OfflineDatabase = { client: pg.Client; close(): Promise<void> }

type OfflineOptions = {
  config: Config
  log: EmbeddedLog
  /** The name in pg_stat_activity. */
  name: string
  signal: AbortSignal
}

/** Opens an embedded database even if another process owns it. Creates none. */
export async function openToRead(options: OfflineOptions): Promise<OfflineDatabase> {
  const { config, name, signal } = options
  const { dataDir } = config.server
  if (config.database.url === undefined) {
    const owned = await findOwned(dataDir, name, signal)
    if (owned) return connect({ ...owned, database: 'flatline' }, name, signal)
    await requireCluster(dataDir)
  }
  return open(options)
}

/** Starts an embedded database, creates it if necessary, and keeps other processes out meanwhile. */
export async function openAlone(options: OfflineOptions): Promise<OfflineDatabase> {
  const { config, name, signal } = options
  const { dataDir } = config.server
  if (config.database.url === undefined && (await findOwned(dataDir, name, signal)))
    throw new ClusterTakenError(`a running Flatline is using ${dataDir}: stop it first, or set another DATA_DIR`)
  return open(options)
}

async function open({ config, log, name, signal }: OfflineOptions): Promise<OfflineDatabase> {
  const { url, connectTimeoutMs } = config.database
  if (url !== undefined)
    return connect({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs }, name, signal)
  const embedded = await startEmbeddedPostgres({ ...embeddedOptions(config), log, signal })
  try {
    const { client, close } = await connect(embedded.connection, name, signal)
    return { client, close: () => close().finally(() => embedded.stop()) }
  } catch (error) {
    await embedded.stop()
    throw error
  }
}

/** Also for commands: what they write must not be missing in the archive. */
export function embeddedOptions({ server, backup }: Config) {
  const archiving = backup.s3Bucket === undefined ? null : { timeoutS: backup.walTimeoutS }
  return { dataDir: server.dataDir, archiving }
}

/** The address of a running server: that of DATABASE_URL, or of the embedded database of a running Flatline. */
export async function addressOfRunning(config: Config, name: string, signal: AbortSignal): Promise<pg.ClientConfig> {
  if (config.database.url !== undefined) return { connectionString: config.database.url, application_name: name }
  const owned = await findOwned(config.server.dataDir, name, signal)
  if (owned) return { ...owned, application_name: name }
  throw new EmbeddedPostgresError(`no Flatline runs on ${config.server.dataDir}: start it, or set DATABASE_URL`)
}

/** Lets a command call the functions of stores. */
export function queryableOf(client: pg.Client): Queryable {
  return {
    query: async <Row extends object>({ text }: { text: string }, values: readonly unknown[] = []) =>
      (await client.query<Row>(text, [...values])).rows,
  }
}

/**
 * Lets a command call the services, on the only connection that it has. Instants of this machine's clock. `transaction`
 * takes no other while it runs.
 */
export function sessionOf(client: pg.Client): DatabaseSession {
  const query: Queryable['query'] = async <Row extends object>(
    { text }: { text: string },
    values: readonly unknown[] = [],
  ) => (await client.query<Row>({ text, values: [...values], types: columnTypes })).rows
  return {
    query,
    clock: createClock(),
    async transaction(work) {
      await client.query('BEGIN')
      try {
        const result = await work({ query })
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      }
    },
  }
}

/** The address of the embedded database of a running Flatline. */
async function findOwned(dataDir: string, name: string, signal: AbortSignal): Promise<pg.ClientConfig | undefined> {
  const file = await readPostmasterFile(join(dataDir, 'postgres'))
  if (!file?.socketDir) return undefined
  const address = { host: file.socketDir, port: file.port, user: 'flatline' }
  // A server without an owner was left by a killed process, and the next start may stop it at any moment.
  const found = await connect({ ...address, database: 'postgres' }, name, signal).catch(() => undefined)
  if (!found) return undefined
  return (await ownerLockHeld(found.client).finally(found.close)) ? address : undefined
}

async function requireCluster(dataDir: string): Promise<void> {
  await access(join(dataDir, 'postgres')).catch(() => {
    throw new EmbeddedPostgresError(`there is no database in ${dataDir}: set DATA_DIR or DATABASE_URL`)
  })
}

async function connect(config: pg.ClientConfig, name: string, signal: AbortSignal): Promise<OfflineDatabase> {
  const client = new pg.Client({ ...config, application_name: name, keepAlive: true })
  // The user of the connection learns of its loss from the statement that fails; without a listener the error would end
  // the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    await client.end().catch(() => undefined)
    const { code, message } = error as { code?: string; message: string }
    throw new Error(`cannot reach the database: ${message || code}`, { cause: error })
  }
  const close = () => client.end().catch(() => undefined)
  // A statement that waits for a lock would delay the end.
  signal.addEventListener('abort', close, { once: true })
  return { client, close }
}
