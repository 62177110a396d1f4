import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { call, eventually, scratchDir } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'
import { inherited } from '../tools.ts'
import { spawnService, startService } from './service.ts'

const noKeys = { BOOTSTRAP_API_KEY: '', BOOTSTRAP_API_KEY_READONLY: '', BOOTSTRAP_PING_KEY: '' }

test('a first start creates a database and keys, which it shows once; later starts keep the data', async (t) => {
  const env = { ...noKeys, DATA_DIR: await scratchDir(t) }
  const first = await startService(t, { env })
  const key = /api_key=(\S{32})/.exec(first.output())?.[1] ?? ''
  const [, method, url, , body] = /curl -X (\S+) (\S+) -H '(\S+ \S+)' -d '(.*)'/.exec(first.output()) ?? []
  const made = await call('', String(method), String(url), JSON.parse(String(body)), { 'x-api-key': key })
  assert.equal(made.status, 201, made.text)
  assert.equal((await call('', 'GET', String(made.json().ping_url), undefined, {})).text, 'OK')
  assert.ok(
    first.lines().every((line) => !JSON.stringify(line).includes(key)),
    'no log line holds a key',
  )
  assert.equal(await first.stop(), 0)

  const second = await startService(t, { env })
  assert.ok(!second.output().includes('api_key='), 'keys are shown once')
  const { checks } = (await call(second.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': key })).json()
  assert.equal((checks as unknown[]).length, 1)

  // Killed, so that its PostgreSQL is an orphan: the next start takes over and nothing is lost.
  const ping = new URL(String(made.json().ping_url)).pathname
  assert.equal((await call(second.url, 'GET', ping, undefined, {})).text, 'OK')
  await second.stop('SIGKILL')
  const third = await startService(t, { env })
  const check = (await call(third.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': key })).json()
  assert.equal((check.checks as { n_pings: number }[])[0]?.n_pings, 2)

  const refused = await spawnService(t, env)
  assert.equal(await refused.exited, 1)
  assert.match(refused.output(), /another Flatline is already using/)
  assert.equal(await third.stop(), 0)
})

test('two instances with their own DATA_DIR run side by side', async (t) => {
  const [a, b] = await Promise.all([startService(t), startService(t)])
  assert.notEqual(a.url, b.url)
  for (const { url } of [a, b]) assert.equal((await call(url, 'GET', '/health')).status, 200)
  assert.deepEqual(await Promise.all([a.stop(), b.stop()]), [0, 0])
})

test('outside of the local profile generated keys go to a private file, whose path is logged', async (t) => {
  const dataDir = await scratchDir(t)
  const service = await startService(t, {
    env: {
      ...noKeys,
      DATA_DIR: dataDir,
      DATABASE_URL: await createDatabase(t),
      DEPLOYMENT_ENV: 'staging',
      HOST: '127.0.0.1',
      ENCRYPTION_KEY: 'ab'.repeat(32),
    },
  })
  const { file } = await service.event('keys.generated')
  assert.equal(file, join(dataDir, 'project-keys.txt'))
  const text = await readFile(String(file), 'utf8')
  const key = /^api_key=(\S{32})$/m.exec(text)?.[1] ?? ''
  assert.equal((await call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': key })).status, 200)
  assert.ok(!service.output().includes(key))
  await service.stop()
})

test('ten simultaneous starts on an empty database all become ready, with one project', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const env = { DATABASE_URL: url, FLATLINE__DATABASE__POOL_MAX: '3' }
  const all = await Promise.all(Array.from({ length: 10 }, () => startService(t, { env })))
  const [row] = await sql<{ count: string }>(url, 'SELECT count(*) FROM projects')
  assert.equal(row?.count, '1')
  assert.deepEqual(await Promise.all(all.map((service) => service.stop())), Array(10).fill(0))
})

test('a start waits for its database: live is 200, ready and everything else 503', async (t) => {
  const url = await createDatabase(t)
  const name = /\/([^/?]+)\?/.exec(url)?.[1] as string
  const admin = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  const service = await startService(t, { env: { DATABASE_URL: url, INGEST_MODE: 'consistent' }, ready: false })
  const line = await service.event('database.waiting')
  assert.match(String(line.msg), /waiting for the database/)
  const status = async (path: string) => (await call(service.url, 'GET', path)).status
  assert.deepEqual(
    await Promise.all(
      ['/health/live', '/health/ready', '/health', '/metrics', '/api/v3/checks/', '/ping/x'].map(status),
    ),
    [200, 503, 503, 200, 503, 503],
  )
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
  await service.event('server.ready')
  assert.equal(await status('/health/ready'), 200)
  await service.stop()
})

test('a start that waits for its database stops on request', async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: 'postgres://x@127.0.0.1:1/x' }, ready: false })
  await service.event('database.waiting')
  assert.equal(await service.stop(), 0)
})

test('an error that waiting cannot solve ends the start with one line', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await eventually('a port', () => taken.listening)
  const { port } = taken.address() as { port: number }
  const url = await createDatabase(t)
  const edited = await createDatabase(t)
  await sql(edited, "UPDATE _prisma_migrations SET checksum = 'x'")
  await sql(
    url,
    "DO $$ BEGIN CREATE ROLE refused LOGIN PASSWORD 'secret'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
  )
  const refused = url.replace(/\/\/[^@]+@/, '//refused:wrong@')

  const cases: [Record<string, string>, RegExp][] = [
    [{ DATABASE_URL: url, PORT: String(port) }, /port \d+ on 127.0.0.1 is taken: set PORT/],
    [{ DATABASE_URL: edited }, /was edited after it had been applied/],
    [{ DATABASE_URL: refused }, /the database refuses the connection/],
    [{ PORT: 'x', LOG_LEVEL: 'loud' }, /PORT: .*\n.*LOG_LEVEL: /],
  ]
  for (const [env, message] of cases) {
    const service = await spawnService(t, env)
    assert.equal(await service.exited, 1)
    assert.match(service.output(), message)
    assert.equal(service.lines().filter(({ level }) => level === 'fatal').length, env.LOG_LEVEL ? 0 : 1)
    assert.ok(!service.output().includes('wrong'), 'no secret is shown')
  }
})

test('flatline migrate applies and lists migrations, and requires a DATABASE_URL', async (t) => {
  const { execFile } = await import('node:child_process')
  const run = (env: Record<string, string>) =>
    new Promise<{ code: number; text: string }>((resolve) => {
      execFile(
        process.execPath,
        ['bin/flatline.js', 'migrate'],
        { env: { ...inherited, ...env } },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), text: stdout + stderr }),
      )
    })
  const url = await createDatabase(t, { empty: true })
  assert.match((await run({ DATABASE_URL: url })).text, /^applied 2026\d+_initial/)
  assert.deepEqual(await run({ DATABASE_URL: url }), { code: 0, text: 'nothing to migrate\n' })
  const without = await run({})
  assert.equal(without.code, 1)
  assert.match(without.text, /DATABASE_URL is needed/)
})

test('a DATA_DIR that cannot be written ends the start with one line that names it', async (t) => {
  const service = await spawnService(t, { DATA_DIR: '/dev/null/x', ENCRYPTION_KEY: '' })
  assert.equal(await service.exited, 1)
  assert.match(service.output(), /cannot start: .*\(DATA_DIR must be a writable directory\)|DATA_DIR/)
  assert.ok(!service.output().includes('    at '), 'no stack')
})

test('a start with a service alert channel that does not exist fails and names it', async (t) => {
  const id = 'b1f7b7c0-58f9-4c5b-b5cf-0d7a1b3c5e7f'
  const service = await spawnService(t, { DATABASE_URL: await createDatabase(t), SERVICE_ALERT_CHANNELS: id })
  assert.equal(await service.exited, 1)
  assert.match(service.output(), /cannot start: SERVICE_ALERT_CHANNELS: no channel has the id b1f7b7c0-/)
})
