import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { createClient, type DatabaseClient } from '../../../src/database/connection/client.ts'
import { pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'

type Scope = { after: (fn: () => Promise<unknown>) => void }

async function open(t: Scope): Promise<{ client: DatabaseClient; url: string }> {
  const url = await createDatabase(t)
  const limits = { poolMax: 4, connectTimeoutMs: 5000, statementTimeoutMs: 5000, idleTimeoutMs: 5000 }
  const client = createClient({ connection: { connectionString: url }, ...limits }, hooks)
  t.after(() => client.close())
  return { client, url }
}

const hooks = { connectionLost() {}, statement() {}, guard: <T>(work: () => Promise<T>) => work() }

const statement = (text: string) => ({ name: text.slice(0, 63), text })

test('instants are epoch milliseconds and counters numbers, in every time zone of the session', async (t) => {
  const { client } = await open(t)
  for (const zone of ['UTC', 'Asia/Kolkata', 'America/St_Johns']) {
    const [row] = await client.transaction(async (tx) => {
      await tx.query(statement(`SET LOCAL TimeZone = '${zone}'`))
      return tx.query<{ at: number; n: number }>(
        statement("SELECT '2026-11-22T21:10:00.123Z'::timestamptz(3) AS at, 5::bigint AS n"),
      )
    })
    assert.deepEqual({ ...row }, { at: Date.UTC(2026, 10, 22, 21, 10, 0, 123), n: 5 }, zone)
  }
})

test('a connection that is lost inside a transaction fails only that transaction', async (t) => {
  const { client, url } = await open(t)
  const lost = client.transaction(async (tx) => {
    const [own] = await tx.query<{ pid: number }>(statement('SELECT pg_backend_pid() AS pid'))
    await sql(url, 'SELECT pg_terminate_backend($1)', [own?.pid])
    // No statement is in progress when the server closes the connection.
    await pause(200)
    return tx.query(statement('SELECT 1'))
  })
  await assert.rejects(lost)
  assert.equal((await client.query(statement('SELECT 1 AS one'))).length, 1)
})

test('the statement that failed is reported, not others in progress on the connection', async (t) => {
  const { client } = await open(t)
  const together = client.transaction(async (tx) => {
    const late = tx.query(statement('SELECT 1')).then(() => tx.query(statement('SELECT 2')))
    const deep = (async () => Promise.all([Promise.all([tx.query(statement('SELECT 1 / 0'))])]))()
    await Promise.all([late, deep, tx.query(statement('SELECT 3'))])
  })
  await assert.rejects(together, /division by zero/)
})

test('a transaction whose failure was ignored is not taken for committed', async (t) => {
  const { client } = await open(t)
  const overlooked = client.transaction(async (tx) => {
    await tx.query(statement('SELECT 1 / 0')).catch(() => undefined)
  })
  await assert.rejects(overlooked, /rolled back instead of committed/)
})

test('a transaction that fails leaves nothing, and one that deadlocks is retried', async (t) => {
  const { client, url } = await open(t)
  await sql(url, 'CREATE TABLE pair (id int PRIMARY KEY, n int); INSERT INTO pair VALUES (1, 0), (2, 0)')
  const add = (id: number) => statement(`UPDATE pair SET n = n + 1 WHERE id = ${id}`)
  await assert.rejects(
    client.transaction(async (tx) => {
      await tx.query(add(1))
      throw new Error('planted')
    }),
    /planted/,
  )
  let both = 0
  let meet = () => {}
  const met = new Promise<void>((resolve) => {
    meet = resolve
  })
  const crossing = (first: number, second: number) =>
    client.transaction(async (tx) => {
      await tx.query(add(first))
      both++
      if (both >= 2) meet()
      await met
      await tx.query(add(second))
    })
  await Promise.all([crossing(1, 2), crossing(2, 1)])
  assert.ok(both >= 3, 'at least one of them came twice')
  assert.deepEqual(await sql(url, 'SELECT n FROM pair'), [{ n: 2 }, { n: 2 }])
})

test('a server that closes a new connection fails only the statement that was sent on it', async (t) => {
  const message = (type: string, body: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    return Buffer.concat([Buffer.from(type), length, body])
  }
  const ready = [message('R', Buffer.alloc(4)), message('K', Buffer.alloc(8)), message('Z', Buffer.from('I'))]
  const goodbye = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'))
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.on('error', () => undefined).once('data', () => socket.end(Buffer.concat([...ready, goodbye])))
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `postgres://u:p@127.0.0.1:${(server.address() as AddressInfo).port}/d`
  const limits = { poolMax: 4, connectTimeoutMs: 5000, statementTimeoutMs: 5000, idleTimeoutMs: 5000 }
  const client = createClient({ connection: { connectionString: url }, ...limits }, hooks)
  t.after(() => client.close())
  await assert.rejects(client.transaction((tx) => tx.query(statement('SELECT 1'))))
  await assert.rejects(client.query(statement('SELECT 1')))
  await assert.rejects(client.prisma.project.findMany())
  assert.ok(connections >= 3)
})
