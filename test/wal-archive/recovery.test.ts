// The whole way through a bucket: a service with an embedded database is archived, loses its data directory, and comes
// back, to the end of the archive and to a moment before a mistake.

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { call, eventually, scratchDir } from '../helper.ts'
import { startBucket } from '../object-storage/bucket.ts'
import { pause } from '../patience.ts'
import { sql } from '../postgres.ts'
import { flatline, run } from '../scenarios/command.ts'
import { startService } from '../scenarios/service.ts'

test('a service whose disk is lost comes back from its bucket, also at a moment before a mistake', async (t) => {
  const bucket = await startBucket(t)
  const keysOf = (pattern: RegExp) => [...bucket.objects.keys()].filter((key) => pattern.test(key))
  const dataDir = await scratchDir(t)
  const env = { ...bucket.env, FLATLINE__BACKUP__WAL_TIMEOUT_S: '2' }
  const service = await startService(t, { env: { ...env, DATA_DIR: dataDir } })
  const make = async (name: string) => {
    const { json } = await call(service.url, 'POST', '/api/v3/checks/', { name, timeout: 3600, grace: 3600 })
    return new URL(String(json().ping_url)).pathname
  }
  await eventually('a base backup', () => keysOf(/\/base\/.*\.json$/).length === 1)
  // The bucket is away for a while, and the log waits.
  let failures = 0
  bucket.fault = (_, response) => {
    failures++
    response.destroy()
    return true
  }
  const [steady, doomed] = [await make('steady'), await make('doomed')]
  const ping = async () => assert.equal((await call(service.url, 'GET', steady, undefined, {})).status, 200)
  for (let n = 0; n < 20; n++) await ping()
  await eventually('refused uploads', () => failures > 2)
  const before = new Date().toISOString()
  await pause(50)
  bucket.fault = () => false
  assert.equal((await call(service.url, 'DELETE', `/api/v3/checks/${doomed.split('/').at(-1)}`)).status, 200)
  await ping()
  const database = `postgres://flatline@localhost/flatline?host=${encodeURIComponent(join(dataDir, 'postgres'))}`
  const [current] = await sql<{ name: string }>(database, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  await eventually('the log of it in the bucket', () =>
    keysOf(/\/wal\//).some((key) => key.includes(`${current?.name}.gz`)),
  )

  const postmaster = Number((await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
  await service.stop('SIGKILL')
  process.kill(postmaster, 'SIGKILL')
  await eventually('the loss of the directory', () =>
    rm(dataDir, { recursive: true }).then(
      () => true,
      () => false,
    ),
  )

  const recovered = await scratchDir(t)
  const recover = (dir: string, ...args: string[]) =>
    run(t, flatline('archive', 'recover', ...args), { ...env, DATA_DIR: dir })
  const whole = await recover(recovered)
  assert.equal(whole.code, 0, whole.err)
  const again = await startService(t, { env: { ...env, DATA_DIR: recovered } })
  const { checks } = (await call(again.url, 'GET', '/api/v3/checks/')).json() as {
    checks: { name: string; status: string; n_pings: number }[]
  }
  assert.deepEqual(
    checks.map(({ name, status }) => [name, status]),
    [['steady', 'up']],
  )
  assert.ok((checks[0]?.n_pings ?? 0) >= 21, 'every heartbeat that was archived')
  assert.equal((await call(again.url, 'GET', steady, undefined, {})).status, 200)
  const health = (await call(again.url, 'GET', '/health')).json()
  assert.equal((health.checks as Record<string, { status: string }>).wal_archive?.status, 'healthy')
  await eventually('a base backup of the new history', () => keysOf(/\/base\/.*\.json$/).length === 2)
  assert.equal((await recover(recovered)).code, 1, 'no cluster is overwritten')
  await again.stop()
  assert.deepEqual(
    again.lines().filter(({ level }) => level === 'error'),
    [],
  )

  const earlier = await scratchDir(t)
  const then = await recover(earlier, '--until', before)
  assert.equal(then.code, 0, then.err)
  const old = await startService(t, { env: { DATA_DIR: earlier } })
  const found = (await call(old.url, 'GET', '/api/v3/checks/')).json() as {
    checks: { name: string; n_pings: number }[]
  }
  assert.deepEqual(found.checks.map(({ name, n_pings }) => [name, n_pings]).sort(), [
    ['doomed', 0],
    ['steady', 20],
  ])
  await old.stop()
})
