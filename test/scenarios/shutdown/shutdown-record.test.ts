import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { adminToken, call, eventually, scratchDir } from '../../helper.ts'
import { within } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const admin = { authorization: `Bearer ${adminToken}` }
const askToEnd = ({ url }: Service) => call(url, 'POST', '/admin/shutdown', undefined, admin)

const entries = async (url: string) =>
  (
    await sql<{ detail: Record<string, string> }>(url, "SELECT detail FROM audit WHERE action = 'service.shutdown'")
  ).map(({ detail }) => detail)
/** How many orderly shutdowns the metrics of a service count. */
async function counted({ url }: Service): Promise<number> {
  const { text } = await call(url, 'GET', '/metrics', undefined, {})
  return [...text.matchAll(/^graceful_shutdowns_total\{.*\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0)
}

/** Lets nobody into the database, or everybody again. */
async function allowConnections(databaseUrl: string, allowed: boolean): Promise<void> {
  const name = /\/([^/?]+)\?/.exec(databaseUrl)?.[1] as string
  const server = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
  await server(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`)
  if (!allowed) await server(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`)
}

/** Also of a connection that was let in before they were forbidden, and came to be listed after the others had been ended. */
async function cutOff(service: Service, databaseUrl: string): Promise<void> {
  const isNoticed = async () => {
    await allowConnections(databaseUrl, false)
    return (await call(service.url, 'GET', '/health/ready')).status === 503
  }
  await eventually('it is noticed', isNoticed)
}

/** A request that never arrives whole: the listener cannot close before it is cut. */
async function hang(t: TestContext, { url }: Service): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  socket.write('POST /api/v3/checks/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n{')
  // 100 Continue: the request is in flight.
  await within('the request to be heard', once(socket, 'data'))
}

const timeOf = async (service: Service, event: string) => Date.parse(String((await service.event(event)).time))

test('a shutdown on request is recorded at once, and a later SIGTERM shortens nothing', async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: await createDatabase(t), DRAIN_MS: '1500' } })
  assert.equal((await askToEnd(service)).status, 202)
  await service.event('shutdown.drain')
  assert.equal(await service.stop(), 0, service.output())
  assert.equal((await service.event('shutdown.start').catch(() => null))?.cause, 'request')
  const drained = (await timeOf(service, 'shutdown.closed')) - (await timeOf(service, 'shutdown.start'))
  assert.ok(drained >= 1490, `told ${drained} ms before the listener closed`)
})

test('a shutdown on request is forced after its time-out, and recorded with its cause', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), SHUTDOWN_TIMEOUT_MS: '3000', DATA_DIR: await scratchDir(t) }
  const service = await startService(t, { env })
  await hang(t, service)
  await askToEnd(service)
  assert.equal(await service.exited, 1)
  assert.ok(
    service.lines().some(({ event }) => event === 'shutdown.forced'),
    service.output(),
  )

  const next = await startService(t, { env })
  const details = await entries(env.DATABASE_URL)
  assert.deepEqual(details.map(({ cause, cut }) => [cause, cut ?? 'in order']).sort(), [
    ['request', 'in order'],
    ['request', 'timeout'],
  ])
  assert.ok(details.every(({ node }) => node))
  assert.equal(await counted(next), 1)
  next.child.kill('SIGKILL')
})

test('a second signal is recorded at the next start, and is not a graceful shutdown', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), DRAIN_MS: '10000', DATA_DIR: await scratchDir(t) }
  const service = await startService(t, { env })
  service.child.kill('SIGTERM')
  await service.event('shutdown.drain')
  service.child.kill('SIGTERM')
  assert.equal(await service.exited, 1)
  const next = await startService(t, { env })
  const [detail, ...others] = await entries(env.DATABASE_URL)
  assert.deepEqual([detail?.cause, detail?.cut, others], ['SIGTERM', 'second signal', []])
  assert.equal(await counted(next), 0)
  next.child.kill('SIGKILL')
})

test('the end of a process that never became ready is recorded, too', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), DATA_DIR: await scratchDir(t) }
  const unreachable = { ...env, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }
  const service = await startService(t, { env: unreachable, ready: false })
  await service.event('database.waiting')
  assert.equal(await service.stop('SIGINT'), 0)
  const next = await startService(t, { env })
  assert.deepEqual(
    (await entries(env.DATABASE_URL)).map(({ cause }) => cause),
    ['SIGINT'],
  )
  assert.equal(await next.stop(), 0)
})

test('a shutdown that is already recorded is not recorded again from its file', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), DATA_DIR: await scratchDir(t) }
  assert.equal(await (await startService(t, { env })).stop(), 0)
  const [detail] = await entries(env.DATABASE_URL)
  await writeFile(join(env.DATA_DIR, 'last-shutdown.json'), JSON.stringify(detail))
  const next = await startService(t, { env })
  assert.deepEqual(await entries(env.DATABASE_URL), [detail])
  assert.equal(await counted(next), 1)
  assert.equal(await next.stop(), 0)
})

test('an unusable data directory that is not needed prevents neither start nor end', async (t) => {
  const file = join(await scratchDir(t), 'file')
  await writeFile(file, '')
  const env = { DATABASE_URL: await createDatabase(t), DATA_DIR: join(file, 'data'), INGEST_MODE: 'consistent' }
  const service = await startService(t, { env })
  await cutOff(service, env.DATABASE_URL)
  assert.equal(await service.stop(), 0, service.output())
  const lost = service.lines().find(({ event }) => event === 'audit.not_written')
  assert.equal(lost?.cause, 'SIGTERM')
  await allowConnections(env.DATABASE_URL, true)
})
