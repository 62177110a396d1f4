import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { EmbeddedPostgresError } from '../../../src/database/embedded/server.ts'
import { patience, pause } from '../../patience.ts'
import {
  directory,
  isAlive,
  launchOwner,
  ownerSessions,
  postmasterPid,
  query,
  type Report,
  recordingLog,
  spawnOwner,
  start,
  temporaries,
  until,
} from '../fixtures/embedded.ts'

const isRoot = process.getuid?.() === 0
const posix = process.platform !== 'win32'
const limit = { timeout: patience(90_000) }

test('the first start creates a database and the second one finds its data', limit, async (t) => {
  const dataDir = await directory(t)
  const cold = Date.now()
  const first = await start(t, dataDir)
  t.diagnostic(`cold start ${Date.now() - cold} ms`)
  await query(first, 'CREATE TABLE kept (n int)')
  await query(first, 'INSERT INTO kept VALUES (42)')
  const stop = Date.now()
  await first.stop()
  await first.stop()
  t.diagnostic(`stop ${Date.now() - stop} ms`)
  assert.equal(await postmasterPid(dataDir), undefined)

  const warm = Date.now()
  const second = await start(t, dataDir)
  t.diagnostic(`warm start ${Date.now() - warm} ms`)
  assert.deepEqual(await query(second, 'SELECT n FROM kept'), [{ n: 42 }])
})

test(
  'the database is durable, in UTF-8, with checksums, off the network and closed to other users',
  limit,
  async (t) => {
    const dataDir = await directory(t)
    const embedded = await start(t, dataDir)
    const settings = `SELECT current_setting('fsync') AS fsync, current_setting('data_checksums') AS sums, current_user AS role,
    current_setting('server_encoding') AS encoding, current_setting('listen_addresses') AS tcp, current_setting('TimeZone') AS tz,
    current_database() AS name, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super`
    const [row] = await query(embedded, settings)
    const tcp = posix ? '' : '127.0.0.1'
    const expected = {
      fsync: 'on',
      sums: 'on',
      encoding: 'UTF8',
      tcp,
      tz: 'UTC',
      role: 'flatline',
      name: 'flatline',
      super: true,
    }
    assert.deepEqual(row, expected)
    if (posix) assert.equal((await stat(join(dataDir, 'postgres'))).mode & 0o777, 0o700)
  },
)

test(
  'nothing committed is lost when the service is killed, and the server it left behind is replaced',
  limit,
  async (t) => {
    const dataDir = await directory(t)
    const owner = await spawnOwner(t, dataDir)
    await query({ connection: owner.report.connection! }, 'CREATE TABLE kept AS SELECT 7 AS n')
    const orphan = await postmasterPid(dataDir)
    owner.child.kill('SIGKILL')
    await once(owner.child, 'exit')

    const embedded = await start(t, dataDir)
    assert.deepEqual(await query(embedded, 'SELECT n FROM kept'), [{ n: 7 }])
    assert.notEqual(await postmasterPid(dataDir), orphan)
  },
)

test('a second Flatline on the same directory is refused and the first continues', limit, async (t) => {
  const dataDir = await directory(t)
  const first = await start(t, dataDir)
  const message = `another Flatline is already using ${dataDir}; stop it or set another DATA_DIR`
  await assert.rejects(
    start(t, dataDir),
    (error) => error instanceof EmbeddedPostgresError && error.message === message,
  )
  assert.deepEqual(await query(first, 'SELECT 1 AS n'), [{ n: 1 }])
})

test('two directories are two databases side by side', limit, async (t) => {
  const one = await start(t, await directory(t))
  const two = await start(t, await directory(t))
  await query(one, 'CREATE TABLE only_here ()')
  assert.deepEqual(await query(two, "SELECT to_regclass('only_here') AS found"), [{ found: null }])
})

test(
  'of five simultaneous starts on an empty directory one owns the database and four are refused',
  limit,
  async (t) => {
    const dataDir = await directory(t)
    await assertOneOwner(await Promise.all(Array.from({ length: 5 }, () => spawnOwner(t, dataDir))), dataDir)
  },
)

test('of five simultaneous starts after a kill one owns the database and four are refused', limit, async (t) => {
  const dataDir = await directory(t)
  const killed = await spawnOwner(t, dataDir)
  killed.child.kill('SIGKILL')
  await assertOneOwner(await Promise.all(Array.from({ length: 5 }, () => spawnOwner(t, dataDir))), dataDir)
})

test('a lock file whose process id now belongs to another program does not stop the start', {
  ...limit,
  skip: !posix,
}, async (t) => {
  const dataDir = await directory(t)
  const embedded = await start(t, dataDir)
  const { host } = embedded.connection
  const server = await postmasterPid(dataDir)
  const left = (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')
  await embedded.stop()

  // PostgreSQL itself only stumbles over a process of the user it runs as.
  const owner = await stat(join(dataDir, 'postgres'))
  const innocent = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot && { uid: owner.uid, gid: owner.gid }) })
  t.after(() => innocent.kill('SIGKILL'))
  assert.notEqual(innocent.pid, server)
  const text = [innocent.pid, ...left.slice(1)].join('\n')
  await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), text)
  await writeFile(join(host, '.s.PGSQL.5432.lock'), text)

  const log = recordingLog()
  const again = await start(t, dataDir, log)
  assert.deepEqual(await query(again, 'SELECT 1 AS n'), [{ n: 1 }])
  assert.equal(log.lines.filter((line) => line.startsWith('warn removed a stale lock file')).length, 2)
  assert.equal(innocent.exitCode ?? innocent.signalCode, null)
})

test('a cluster of another version is refused with both versions', limit, async (t) => {
  const dataDir = await directory(t)
  await (await start(t, dataDir)).stop()
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '15\n')
  await assert.rejects(start(t, dataDir), {
    name: 'EmbeddedPostgresError',
    message: /PostgreSQL 15, .* PostgreSQL 18.*DATA_DIR/,
  })
})

test('a killed server is restarted on the same socket and locked again', { ...limit, skip: !posix }, async (t) => {
  const dataDir = await directory(t)
  const embedded = await start(t, dataDir)
  for (const round of [1, 2]) {
    const killed = await postmasterPid(dataDir)
    const since = Date.now()
    process.kill(killed!, 'SIGKILL')
    await until(async () => (await postmasterPid(dataDir)) !== killed && (await ownerSessions(embedded)) === 1)
    t.diagnostic(`round ${round}: healed in ${Date.now() - since} ms`)
  }
  await assert.rejects(start(t, dataDir), /already using/)
})

test('the lock is taken again after a crash of one backend has reset all sessions', {
  ...limit,
  skip: !posix,
}, async (t) => {
  const dataDir = await directory(t)
  const embedded = await start(t, dataDir)
  const before = await postmasterPid(dataDir)
  const [owner] = await query(embedded, "SELECT pid FROM pg_stat_activity WHERE application_name = 'flatline owner'")
  process.kill((owner as { pid: number }).pid, 'SIGKILL')
  await until(async () => (await ownerSessions(embedded)) === 1)
  assert.equal(await postmasterPid(dataDir), before)
  await assert.rejects(start(t, dataDir), /already using/)
})

test('a stop during a restart of the server leaves nothing running', { ...limit, skip: !posix }, async (t) => {
  const dataDir = await directory(t)
  const embedded = await start(t, dataDir)
  process.kill((await postmasterPid(dataDir))!, 'SIGKILL')
  await pause(5)
  await embedded.stop()
  await pause(300)
  const pid = await postmasterPid(dataDir)
  assert.ok(pid === undefined || !isAlive(pid))
})

test('a very long DATA_DIR works, because the socket is elsewhere', { ...limit, skip: !posix }, async (t) => {
  const dataDir = join(await directory(t), 'long'.repeat(30), 'path'.repeat(20))
  const embedded = await start(t, dataDir)
  t.after(() => rm(embedded.connection.host, { recursive: true, force: true }))
  assert.ok(!embedded.connection.host.startsWith(dataDir))
  assert.equal((await stat(embedded.connection.host)).mode & 0o777, 0o700)
  assert.deepEqual(await query(embedded, 'SELECT 1 AS n'), [{ n: 1 }])
})

test('a DATA_DIR with spaces, commas, quotes and non-ASCII letters works', { ...limit, skip: !posix }, async (t) => {
  const embedded = await start(t, join(await directory(t), `my "data", it's é`))
  assert.deepEqual(await query(embedded, 'SELECT 1 AS n'), [{ n: 1 }])
})

test('as root, a DATA_DIR below a directory that is closed to other users is refused with that directory', {
  ...limit,
  skip: isRoot ? false : 'needs root',
}, async (t) => {
  const closed = join(await directory(t), 'closed')
  await mkdir(closed, { mode: 0o700 })
  const expected = {
    name: 'EmbeddedPostgresError',
    message: new RegExp(`may not enter ${closed} .*chmod o\\+x ${closed}.*DATABASE_URL`),
  }
  await assert.rejects(start(t, join(closed, 'data')), expected)
})

test('as root, an existing DATA_DIR that only root may enter becomes passable', {
  ...limit,
  skip: isRoot ? false : 'needs root',
}, async (t) => {
  const dataDir = join(await directory(t), 'data')
  await mkdir(dataDir, { mode: 0o700 })
  const embedded = await start(t, dataDir)
  assert.equal((await stat(dataDir)).mode & 0o777, 0o711)
  assert.notEqual((await stat(join(dataDir, 'postgres'))).uid, 0)
  assert.deepEqual(await query(embedded, 'SELECT 1 AS n'), [{ n: 1 }])
})

test('an error names a DATA_DIR that cannot be written', limit, async (t) => {
  const file = join(await directory(t), 'file')
  await writeFile(file, '')
  await assert.rejects(start(t, join(file, 'data')), {
    name: 'EmbeddedPostgresError',
    message: /file\/data is not a writable directory/,
  })
})

test('a start removes what a killed first start left behind', { ...limit, skip: !posix }, async (t) => {
  const dataDir = await directory(t)
  const { child } = launchOwner(t, dataDir)
  await until(async () => (await temporaries(dataDir)).length > 0)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal((await temporaries(dataDir)).length, 1)

  const embedded = await start(t, dataDir)
  assert.deepEqual(await temporaries(dataDir), [])
  assert.deepEqual(await query(embedded, 'SELECT 1 AS n'), [{ n: 1 }])
})

test('the database alone does not keep a process alive', limit, async (t) => {
  const dataDir = await directory(t)
  const source = new URL('../../../src/database/embedded/server.ts', import.meta.url)
  const log = '{ info() {}, warn() {}, error() {} }'
  const script = `import { startEmbeddedPostgres } from '${source}'
    await startEmbeddedPostgres({ dataDir: process.argv[1], log: ${log} })
    if (process.listenerCount('SIGTERM') + process.listenerCount('SIGINT') > 0) process.exit(9)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], { stdio: 'inherit' })
  t.after(() => child.kill('SIGKILL'))
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

async function assertOneOwner(starters: { report: Report }[], dataDir: string): Promise<void> {
  const reports = starters.map(({ report }) => report)
  const refused = reports.filter(({ owner }) => !owner).map(({ message }) => message)
  assert.deepEqual(
    refused,
    Array(4).fill(`another Flatline is already using ${dataDir}; stop it or set another DATA_DIR`),
  )
  const connection = reports.find(({ owner }) => owner)?.connection
  assert.deepEqual(await query({ connection: connection! }, 'SELECT 1 AS n'), [{ n: 1 }])
  assert.deepEqual(await temporaries(dataDir), [])
}
