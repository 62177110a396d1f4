// One pg.Pool. Every statement is SQL, prepared by its name (sql.ts), except for two tables on which Prisma is simpler:
// it writes, lists and deletes the samples of health_metrics, and reads the list of projects. Statements read instants
// as epoch milliseconds and counters as numbers, so that no code above this file handles a Date or a BigInt.

import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from '../generated/client.ts'
import { isConflict, isTransient, retryWhileSafe } from '../retry.ts'
import type { Statement } from '../sql.ts'
import { columnTypes } from './column-types.ts'

export type ClientHooks = {
  /** A connection broke while it was idle. */
  connectionLost(error: Error): void
  /** A statement was answered, or failed, after this many milliseconds. */
  statement(name: string, ms: number): void
  /** Wraps everything that needs a connection: may refuse it, and gets its result. */
  guard<T>(work: () => Promise<T>): Promise<T>
}

export type ConnectionOptions = {
  connection:
    | { connectionString: string }
    | { host: string; port: number; user: string; database: string; password?: string | undefined }
  poolMax: number
  connectTimeoutMs: number
  statementTimeoutMs: number
  idleTimeoutMs: number
}

export type Queryable = {
  query<Row extends object>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]>
}

export type DatabaseClient = Queryable & {
  pool: pg.Pool
  prisma: PrismaClient
  /**
   * Runs `work` in one transaction; again if PostgreSQL aborts it for a deadlock or a conflict, and if the connection
   * is lost before the commit was sent. `limitMs` replaces the usual time limit of each of its statements.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, limitMs?: number): Promise<T>
  close(): Promise<void>
}

const idleInTransactionMs = 5000
const abortedTransaction = '25P02'

export function createClient(options: ConnectionOptions, hooks: ClientHooks): DatabaseClient {
  const pool = new pg.Pool({
    ...options.connection,
    max: options.poolMax,
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: options.idleTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    // The limit of the server is useless when the server does not answer at all.
    query_timeout: options.statementTimeoutMs + 2000,
    // A process that is stopped in the middle of a transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: idleInTransactionMs,
    application_name: 'flatline',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Statements that do not wait for each other's results share a round trip.
    pipeline: true,
    types: columnTypes,
  })
  // The pool replaces a connection that breaks while idle; without a listener the error would end the process.
  pool.on('error', hooks.connectionLost)
  // Between the pool's hand-out of a connection and its first statement nothing else listens, and a server that shuts
  // down closes connections then, too. The next statement on such a connection fails, so there is nothing more to do.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const timed = timedRun(hooks)

  return {
    pool,
    prisma: observedPrisma(pool, hooks),
    query: (statement, values) =>
      retryWhileSafe(
        () => hooks.guard(() => timed(pool, statement, values)),
        (error) => isRead(statement) && isTransient(error),
      ),
    transaction: (work, limitMs) => {
      const uncertain = new WeakSet<Error>()
      return retryWhileSafe(
        () => hooks.guard(() => transactionOnce(pool, timed, work, uncertain, limitMs)),
        (error) => isConflict(error) || (isTransient(error) && !uncertain.has(error as Error)),
      )
    },
    async close() {
      if (!pool.ended) await pool.end()
    },
  }
}

type Run = <Row extends object>(
  on: pg.Pool | pg.PoolClient,
  statement: Statement,
  values?: readonly unknown[],
) => Promise<Row[]>

function timedRun(hooks: ClientHooks): Run {
  return async <Row extends object>(
    on: pg.Pool | pg.PoolClient,
    { name, text }: Statement,
    values: readonly unknown[] = [],
  ) => {
    const began = performance.now()
    try {
      const { rows } = await on.query<Row>({ name, text, values: values as unknown[] })
      return rows
    } finally {
      hooks.statement(name, performance.now() - began)
    }
  }
}

/** A plain read changes nothing, so it is safe to repeat. */
const isRead = ({ text }: Statement) => /^\s*SELECT\b/.test(text)

function observedPrisma(pool: pg.Pool, hooks: ClientHooks): PrismaClient {
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  const observed = prisma.$extends({
    query: {
      async $allOperations({ model, operation, args, query }) {
        const began = performance.now()
        try {
          return await hooks.guard(() => query(args))
        } finally {
          hooks.statement(`${model ?? 'raw'}.${operation}`, performance.now() - began)
        }
      },
    },
  })
  // The extension changes no type; Prisma's own type only removes $on.
  return observed as unknown as PrismaClient
}

/** `uncertain` gets the error of a commit whose outcome is unknown: its changes may be stored. */
async function transactionOnce<T>(
  pool: pg.Pool,
  run: Run,
  work: (tx: Queryable) => Promise<T>,
  uncertain: WeakSet<Error>,
  limitMs?: number,
): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  let cause: Error | undefined
  let committing = false
  const breaks = (error: Error) => {
    broken = error
  }
  async function query<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    try {
      return await run<Row>(client, statement, values)
    } catch (error) {
      cause ??= error as Error
      throw error
    }
  }
  // A connection that is lost between two statements reports it here; without a listener the error would end the
  // process.
  client.on('error', breaks)
  try {
    // Not awaited, so that it is sent with the first statement of `work`, which fails with it if it fails.
    client.query(limitMs === undefined ? 'BEGIN' : limitedBegin(limitMs)).catch(() => undefined)
    const result = await work({ query })
    committing = true
    // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK and without an error.
    const { command } = await client.query('COMMIT')
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back instead of committed')
    return result
  } catch (error) {
    // A connection on which even ROLLBACK fails is closed instead of returned to the pool.
    await client.query('ROLLBACK').catch(breaks)
    // Of concurrent statements, the first that fails makes the others fail with "transaction is aborted", and the order
    // in which the errors arrive is random.
    const first = (error as { code?: string }).code === abortedTransaction ? (cause ?? error) : error
    if (committing) uncertain.add(first as Error)
    throw first
  } finally {
    client.off('error', breaks)
    client.release(broken)
  }
}

const limitedBegin = (limitMs: number) => `BEGIN; SET LOCAL statement_timeout = ${Math.round(limitMs)}`
