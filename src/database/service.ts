// Opening the database means waiting for it: without limit and with a clear log line where waiting can help, and with
// an error where it cannot. Before it is open and after it is closed every use answers `unavailable`.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Config } from '../config/load.ts'
import { AppError } from '../core/errors.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { type Clock, createClock } from './clock.ts'
import { type ConnectionOptions, createClient, type DatabaseClient, type Queryable } from './connection/client.ts'
import { checkConnections } from './connection/connections.ts'
import { DatabaseRefusedError, requireSupportedServer } from './connection/server-version.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/server.ts'
import { createHangDetector, type HangDetector } from './hang-detector.ts'
import { type Migration, MigrationError, migrate } from './migrate.ts'
import { embeddedOptions } from './offline.ts'
import { statement } from './sql.ts'
import { createTelemetry, type DatabaseLog, type DatabaseMetrics } from './telemetry.ts'

export type PoolState = { active: number; idle: number; waiting: number; max: number }

export type Database = Queryable & {
  readonly pool: pg.Pool
  readonly prisma: DatabaseClient['prisma']
  /** Connections of the pool by their state, and callers that wait for one; null while it is not open. */
  poolState(): PoolState | null
  readonly clock: Clock
  transaction: DatabaseClient['transaction']
  /**
   * Starts (if embedded), waits for, migrates and connects to the database. Rejects with errors that waiting cannot
   * solve.
   */
  open(signal: AbortSignal): Promise<void>
  /** Whether a trivial query has been unanswered for `database.hangAfterMs`. */
  isHanging(): boolean
  /** Reads the database's clock. */
  synchronise(): Promise<void>
  close(): Promise<void>
}

/** What a service needs that only runs statements. */
export type DatabaseSession = Pick<Database, 'query' | 'transaction' | 'clock'>

/** The same, but in one transaction: all statements, and everything that would be a transaction of its own. */
export function within(tx: Queryable, { clock }: Pick<DatabaseSession, 'clock'>): DatabaseSession {
  return { clock, query: (statement, values) => tx.query(statement, values), transaction: (work) => work(tx) }
}

/** Authentication and privileges: waiting does not make a refused password right. */
const refusals = ['28000', '28P01', '42501']
const waitFirstMs = 250
const waitMaxMs = 5000

export function createDatabase(options: {
  config: Config
  log: DatabaseLog
  migrations: readonly Migration[]
  metrics: DatabaseMetrics
  /** Refuses calls while the database is known not to answer. */
  breaker: { run<T>(work: () => Promise<T>, isFailure: (error: unknown) => boolean): Promise<T> }
  clock?: Clock
}): Database {
  const { config, log, migrations, metrics, breaker, clock = createClock() } = options
  const { slowQueryMs } = config.database
  const telemetry = createTelemetry({ metrics, log, slowQueryMs, monotonic: clock.monotonic })
  let client: DatabaseClient | undefined
  let embedded: EmbeddedPostgres | undefined
  let hangDetector: HangDetector | undefined

  function opened(): DatabaseClient {
    if (client) return client
    throw new AppError('unavailable', 'the database is not open, try again shortly', { retryAfterS: 1 })
  }

  async function guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      const run = () => breaker.run(work, isDatabaseAway)
      const result = await (hangDetector === undefined ? run() : hangDetector.unlessHanging(run))
      telemetry.answered()
      return result
    } catch (error) {
      telemetry.failed(error)
      throw error
    }
  }

  async function synchronise(): Promise<void> {
    const before = clock.monotonic()
    const [row] = await opened().query(readClock)
    if (row) clock.correct(row.now, before, clock.monotonic())
  }

  return {
    clock,
    get pool() {
      return opened().pool
    },
    get prisma() {
      return opened().prisma
    },
    poolState() {
      if (!client) return null
      const { totalCount, idleCount, waitingCount, options } = client.pool
      // The pool queues every caller for a moment, also one that gets a connection at once: the scrape itself is one.
      const free = idleCount + options.max - totalCount
      const waiting = Math.max(0, waitingCount - free)
      return { active: totalCount - idleCount, idle: idleCount, waiting, max: options.max }
    },
    query: (statement, values) => opened().query(statement, values),
    transaction: (work, limitMs) => opened().transaction(work, limitMs),
    synchronise,
    isHanging: () => hangDetector?.isHanging() ?? false,

    async open(signal) {
      if (config.database.url === undefined)
        embedded = await startEmbeddedPostgres({ ...embeddedOptions(config), log, signal, onTakenOver: endProcess })
      const settings = connectionOptions(config, embedded)
      const { slowMigrationMs } = config.database
      await waitFor(() => prepare(settings, migrations, { log, slowMigrationMs }, signal), log, signal)
      if (signal.aborted) return
      client = createClient(settings, {
        connectionLost: (err) => {
          if (client) log.debug({ err, event: 'database.connection_lost' }, 'lost an idle database connection')
        },
        statement: telemetry.statement,
        guard,
      })
      hangDetector = createHangDetector({
        connection: settings.connection,
        hangAfterMs: config.database.hangAfterMs,
        onChange: telemetry.hanging,
      })
      hangDetector.start()
      await synchronise()
      await checkConnections(client, config.database, log)
    },

    async close() {
      hangDetector?.stop()
      const closing = client
      client = undefined
      await closing?.close()
      await embedded?.stop()
      embedded = undefined
    },
  }
}

/** Two services must never use one cluster: the process ends in order, as for any uncaught error. */
function endProcess(error: Error): void {
  setImmediate(() => {
    throw error
  })
}

const readClock = statement(
  'read_clock',
  { now: 'float8' },
  'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now',
)

function connectionOptions({ database, breakers }: Config, embedded: EmbeddedPostgres | undefined): ConnectionOptions {
  const connection = embedded?.connection ?? { connectionString: database.url as string }
  const asked = breakers.overrides.database?.requestTimeoutMs ?? Number.POSITIVE_INFINITY
  return { ...database, statementTimeoutMs: Math.min(database.statementTimeoutMs, asked), connection }
}

/** One attempt to reach the database and migrate it, on a connection of its own. */
async function prepare(
  settings: ConnectionOptions,
  migrations: readonly Migration[],
  { log, slowMigrationMs }: { log: DatabaseLog; slowMigrationMs: number },
  signal: AbortSignal,
): Promise<void> {
  const client = new pg.Client({ ...settings.connection, connectionTimeoutMillis: settings.connectTimeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await requireSupportedServer(client)
    await migrate(client, migrations, {
      signal,
      blocked: (migration, retryInMs) =>
        log.warn(
          { event: 'migration.blocked', migration, retryInMs },
          'a migration waits for transactions that use its tables',
        ),
      applied(migration, ms) {
        const level = slowMigrationMs > 0 && ms > slowMigrationMs ? 'warn' : 'info'
        log[level]({ event: 'migration.applied', migration, durationMs: Math.round(ms) }, 'migration applied')
      },
    })
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function waitFor(attempt: () => Promise<void>, log: DatabaseLog, signal: AbortSignal): Promise<void> {
  for (let waitMs = waitFirstMs; !signal.aborted; waitMs = Math.min(waitMaxMs, waitMs * 2)) {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof MigrationError || error instanceof DatabaseRefusedError) throw error
      const { code, message } = error as { code?: string; message: string }
      if (refusals.includes(code ?? ''))
        throw new DatabaseRefusedError(`the database refuses the connection: ${message}`, { cause: error })
      log.warn({ event: 'database.waiting', code, reason: message, retryInMs: waitMs }, 'waiting for the database')
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
