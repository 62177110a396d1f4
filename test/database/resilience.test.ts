import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { readMigrations } from '../../src/database/migrate.ts'
import { isTransient } from '../../src/database/retry.ts'
import { createDatabase as createService, type Database } from '../../src/database/service.ts'
import { createDatabase, sql } from '../postgres.ts'

type Line = { level: string; event?: string } & Record<string, unknown>

async function open(t: TestContext, env: Record<string, string> = {}) {
  const url = await createDatabase(t)
  const lines: Line[] = []
  const record = (level: string) => (line: object) => void lines.push({ level, ...line })
  const counted = { attempts: 0, failures: [] as string[], statements: [] as string[] }
  const database = createService({
    config: loadConfig({ env: { DATABASE_URL: url, FLATLINE__DATABASE__POOL_MAX: '3', ...env } }),
    log: { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') },
    migrations: readMigrations(),
    metrics: {
      statement: (name) => void counted.statements.push(name),
      attempt: () => void counted.attempts++,
      failure: (reason) => void counted.failures.push(reason),
    },
    breaker: { run: (work) => work() },
  })
  await database.open(new AbortController().signal)
  t.after(() => database.close())
  return { database, url, lines, counted }
}

const statement = (name: string, text: string) => ({ name, text })
const pid = statement('pid', 'SELECT pg_backend_pid() AS pid')

/** What a restart does to connections that wait in the pool; the pool has not noticed yet when it is asked next. */
async function breakConnections(url: string): Promise<void> {
  const others =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flatline' AND datname = current_database()"
  await sql(url, others)
}

async function fillPool(database: Database): Promise<void> {
  await Promise.all([1, 2, 3].map(() => database.query(statement('wait', 'SELECT pg_sleep(0.05)'))))
  assert.deepEqual(database.poolState(), { active: 0, idle: 3, waiting: 0, max: 3 })
}

test('callers that get a connection at once do not wait for one; those beyond the pool do', async (t) => {
  const { database } = await open(t)
  const sleeping = () => database.query(statement('wait', 'SELECT pg_sleep(0.2)'))
  const first = [sleeping(), sleeping()]
  assert.equal(database.poolState()?.waiting, 0, 'in a pool that may still grow')
  await Promise.all(first)
  const second = [sleeping(), sleeping()]
  assert.equal(database.poolState()?.waiting, 0, 'of idle connections')
  second.push(sleeping(), sleeping(), sleeping())
  assert.equal(database.poolState()?.waiting, 2)
  await Promise.all(second)
  assert.equal(database.poolState()?.waiting, 0)
})

test('the server has no more connections than the pool allows, however many callers there are', async (t) => {
  const { database, url } = await open(t)
  const callers = Promise.all(
    Array.from({ length: 15 }, () => database.query(statement('wait', 'SELECT pg_sleep(0.1)'))),
  )
  let done = false
  void callers.then(() => {
    done = true
  })
  const seen: number[] = []
  const count =
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'flatline' AND datname = current_database()"
  while (!done) seen.push((await sql<{ n: number }>(url, count))[0]?.n ?? 0)
  assert.equal(Math.max(...seen), 3)
  await callers
})

test('reads and transactions survive broken pooled connections, with at most two log lines', async (t) => {
  const { database, url, lines } = await open(t)
  for (let round = 0; round < 3; round++) {
    await fillPool(database)
    await breakConnections(url)
    assert.equal((await database.query(pid)).length, 1)
    await breakConnections(url)
    assert.equal((await database.transaction((tx) => tx.query(pid))).length, 1)
  }
  const told = lines.filter(({ level }) => level !== 'debug').map(({ event }) => event)
  assert.ok(
    told.every((event, i) => event === (i % 2 === 0 ? 'database.lost' : 'database.back')),
    told.join(),
  )
})

test('a transaction that loses its connection before the commit is retried as a whole', async (t) => {
  const { database, url } = await open(t)
  const id = '00000000-0000-4000-8000-00000000000a'
  let attempts = 0
  await database.transaction(async (tx) => {
    attempts++
    await tx.query(statement('insert', `INSERT INTO projects (id, name) VALUES ('${id}', 'made once')`))
    if (attempts === 1) await breakConnections(url)
    await tx.query(pid)
  })
  assert.equal(attempts, 2)
  assert.equal((await sql(url, "SELECT FROM projects WHERE name = 'made once'")).length, 1)
})

test('a write outside of a transaction is not retried, because it may have been done', async (t) => {
  const { database, counted } = await open(t)
  const attempts = (name: string) => counted.statements.filter((one) => one === name).length
  // Each attempt ends its own connection, as if the server had died before it could answer.
  const write =
    "WITH gone AS (SELECT pg_terminate_backend(pg_backend_pid())) INSERT INTO projects (id, name) SELECT gen_random_uuid(), 'x' FROM gone"
  await assert.rejects(database.query(statement('write', write)), isTransient)
  assert.equal(attempts('write'), 1)
  await assert.rejects(database.query(statement('read', 'SELECT pg_terminate_backend(pg_backend_pid())')), isTransient)
  assert.ok(attempts('read') > 1, 'the same outage lets a read be tried again')
})

test('an error of a statement is neither retried nor an outage', async (t) => {
  const { database, lines, counted } = await open(t)
  const before = counted.statements.length
  await assert.rejects(database.query(statement('wrong', 'SELECT 1 / 0')), /division by zero/)
  await assert.rejects(database.prisma.$queryRaw`SELECT 1 / 0`)
  assert.equal(counted.statements.filter((name) => name === 'wrong').length, 1)
  assert.ok(counted.statements.length - before >= 2, 'Prisma is measured too')
  assert.deepEqual(counted.failures, [])
  assert.deepEqual(
    lines.filter(({ event }) => event === 'database.lost'),
    [],
  )
})

test('a slow statement is logged by its name, without values, and a thousand of them warn once', async (t) => {
  const { database, lines } = await open(t, { FLATLINE__DATABASE__SLOW_QUERY_MS: '20' })
  const slow = statement('slow_one', 'SELECT pg_sleep(0.05), $1::text AS secret')
  await Promise.all([1, 2, 3].map(() => database.query(slow, ['s3cret-value'])))
  // On a busy machine others are slow, too.
  const told = lines.filter(({ event, statement: name }) => event === 'database.slow_query' && name === 'slow_one')
  assert.deepEqual(
    told.map(({ level }) => level),
    ['warn', 'debug', 'debug'],
  )
  assert.ok(Number(told[0]?.durationMs) >= 50)
  assert.doesNotMatch(JSON.stringify(lines), /s3cret/)
  // Of what is done for each day the statements differ by the day alone.
  await Promise.all([1, 2].map((day) => database.query(statement(`slow_day_2026112${day}`, slow.text), ['x'])))
  const daily = lines.filter(({ statement: name }) => String(name).startsWith('slow_day'))
  assert.deepEqual(
    daily.map(({ level }) => level),
    ['warn', 'debug'],
  )
})

test('a request time-out of the database’s circuit breaker also limits its statements', async (t) => {
  const { database } = await open(t, { CIRCUIT_BREAKER_OVERRIDES: '{"database": {"requestTimeoutMs": "100ms"}}' })
  await assert.rejects(database.query(statement('sleep', 'SELECT pg_sleep(5)')), { code: '57014' })
})

test('a server with too few connections for all replicas is logged at the start, with the figures', async (t) => {
  const told = (lines: Line[]) => lines.filter(({ event }) => event === 'database.connections_short')
  const { lines: few } = await open(t)
  assert.deepEqual(told(few), [])
  const { lines } = await open(t, { FLATLINE__DATABASE__REPLICAS: '1000', FLATLINE__DATABASE__REPLICAS_SURGE: '0' })
  const [line, ...others] = told(lines)
  assert.deepEqual(others, [])
  assert.ok(line)
  const { level, needed, poolMax, replicas, maxConnections, reserved, reserve, available } = line
  assert.deepEqual([level, needed, poolMax, replicas], ['warn', 3000, 3, 1000])
  assert.equal(available, Number(maxConnections) - Number(reserved) - Number(reserve))
})

test('the connection limit of the database applies if it is lower than that of the server', async (t) => {
  const url = await createDatabase(t)
  await sql(url, `ALTER DATABASE ${new URL(url.replace('@/', '@localhost/')).pathname.slice(1)} CONNECTION LIMIT 12`)
  const { lines } = await open(t, { DATABASE_URL: url, FLATLINE__DATABASE__REPLICAS: '2' })
  assert.equal(lines.find(({ event }) => event === 'database.connections_short')?.available, 7)
})
