// One pg.Pool, shared by prepared statements (hot paths, transactions) and Prisma (everything else). Statements read
// instants as epoch milliseconds and counters as numbers, so that nothing above this file knows a Date or a BigInt.

import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from './generated/client.ts'

export type ConnectionOptions = {
  connection:
    | { connectionString: string }
    | { host: string; port: number; user: string; database: string; password?: string | undefined }
  poolMax: number
  connectTimeoutMs: number
  statementTimeoutMs: number
  idleTimeoutMs: number
}

/** A named statement is prepared once per connection. */
export type Statement = { name: string; text: string }

export type Queryable = {
  query<Row extends object = Record<string, never>>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
}

export type DatabaseClient = Queryable & {
  pool: pg.Pool
  prisma: PrismaClient
  /** Runs `work` in one transaction, again when PostgreSQL breaks it off for a deadlock or a conflict. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const transactionAttemptsMax = 5
const idleInTransactionMs = 5000
const abortedTransaction = '25P02'

export function createClient(options: ConnectionOptions, onError: (error: Error) => void): DatabaseClient {
  const pool = new pg.Pool({
    ...options.connection,
    max: options.poolMax,
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: options.idleTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    // The server's limit is of no use when the server does not answer at all.
    query_timeout: options.statementTimeoutMs + 2000,
    // A process that is stopped in the middle of a transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: idleInTransactionMs,
    application_name: 'flatline',
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Statements that do not wait for each other's results share a round trip.
    pipeline: true,
    types,
  })
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on('error', onError)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })

  return {
    pool,
    prisma,
    query: (statement, values) => run(pool, statement, values),
    transaction: (work) => transaction(pool, work),
    async close() {
      await prisma.$disconnect()
      if (!pool.ended) await pool.end()
    },
  }
}

async function run<Row extends object>(
  on: pg.Pool | pg.PoolClient,
  { name, text }: Statement,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { rows } = await on.query<Row>({ name, text, values: values as unknown[] })
  return rows
}

async function transaction<T>(pool: pg.Pool, work: (tx: Queryable) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transactionOnce(pool, work)
    } catch (error) {
      const broken = ['40001', '40P01'].includes((error as { code?: string }).code ?? '')
      if (!broken || attempt === transactionAttemptsMax) throw error
    }
  }
}

async function transactionOnce<T>(pool: pg.Pool, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  let cause: Error | undefined
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
  // A connection that is lost between two statements says so here; without a listener it would end the process.
  client.on('error', breaks)
  try {
    // Not awaited, so that it travels with the first statement of `work`, which fails with it if it fails.
    client.query('BEGIN').catch(() => undefined)
    const result = await work({ query })
    // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK and without an error.
    const { command } = await client.query('COMMIT')
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back instead of committed')
    return result
  } catch (error) {
    // A connection on which not even ROLLBACK works is thrown away instead of going back to the pool.
    await client.query('ROLLBACK').catch(breaks)
    // Of statements under way together the first that fails makes the others fail with "transaction is aborted", and which of them
    // is heard of first is chance.
    throw (error as { code?: string }).code === abortedTransaction ? (cause ?? error) : error
  } finally {
    client.off('error', breaks)
    client.release(broken)
  }
}

const { builtins } = pg.types

const types: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format?: 'text' | 'binary') => {
    if (format !== 'binary' && id === builtins.TIMESTAMPTZ) return epochMs
    if (format !== 'binary' && id === builtins.INT8) return Number
    return pg.types.getTypeParser(id, format as 'text')
  }) as pg.CustomTypesConfig['getTypeParser'],
}

/** PostgreSQL's ISO output, `2026-11-22 21:10:00.123+00`, whatever the session's zone; UTC, the usual one, without a pattern. */
function epochMs(text: string): number {
  if (text.endsWith('+00')) return Date.parse(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`)
  const [, instant, sign, hours, minutes] = /^(.*)([+-])(\d\d)(?::(\d\d))?$/.exec(text) ?? []
  return Date.parse(`${instant?.replace(' ', 'T')}${sign}${hours}:${minutes ?? '00'}`)
}
