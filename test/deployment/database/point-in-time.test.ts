// The drill of docs/backup.md: the server with its disk is lost, and comes back from a base backup and the archived log; once to its end,
// and once to the moment before a mistake.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { giveTo } from '../../../src/database/embedded/account.ts'
import { build, call, eventually } from '../../helper.ts'
import { patience, pause } from '../../patience.ts'
import { sql } from '../../postgres.ts'
import { startService } from '../../scenarios/service.ts'
import { bin, createCluster, needsDebianPostgres, startCluster } from './debian-postgres.ts'

const run = promisify(execFile)
/** PostgreSQL closes a segment after this time; docs/backup.md says 60 for production. */
const archiveTimeoutS = 1
/** For a segment on its way into the archive, on a busy machine. */
const copyingMs = 10_000

test('a lost server is restored with all but the last seconds, or to the moment before a mistake', {
  skip: needsDebianPostgres(),
}, async (t) => {
  const origin = await createCluster(t, {
    archive_mode: 'on',
    archive_timeout: `${archiveTimeoutS}s`,
    archive_command: '../archive-wal.sh "%p" "../archive/%f"',
  })
  const { dir, account } = origin
  await copyFile(join(import.meta.dirname, '../../../scripts/archive-wal.sh'), join(dir, 'archive-wal.sh'))
  await mkdir(join(dir, 'archive'))
  await giveTo(account, join(dir, 'archive'))
  await sql(origin.url('postgres'), 'CREATE DATABASE flatline')
  const url = origin.url('flatline')
  const service = await startService(t, { env: { DATABASE_URL: url } })
  const make = async (name: string) => {
    const { json } = await call(service.url, 'POST', '/api/v3/checks/', { name, timeout: 60, grace: 60 })
    return new URL(String(json().ping_url)).pathname
  }
  const [steady, doomed] = [await make('steady'), await make('doomed')]

  const acknowledged: { body: string; at: number }[] = []
  let loading = true
  const load = (async () => {
    for (let n = 0; loading; n++) {
      const { status } = await call(service.url, 'POST', steady, `beat-${n}`, {}).catch(() => ({ status: 0 }))
      if (status === 200) acknowledged.push({ body: `beat-${n}`, at: Date.now() })
      await pause(20)
    }
  })()
  await eventually('heartbeats before the base backup', () => acknowledged.length > 10)
  const base = join(dir, 'base')
  await run(`${bin}/pg_basebackup`, ['-d', origin.url('postgres'), '-D', base, '--checkpoint=fast'], account)
  assert.equal((await call(service.url, 'GET', doomed, undefined, {})).status, 200)

  await eventually('heartbeats before the mistake', () => acknowledged.length > 60)

  // The mistake, and life goes on until its segment is in the archive, with some of what came after it.
  const [before] = await sql<{ now: string }>(url, 'SELECT now()::text AS now')
  const doomedId = doomed.split('/').at(-1)
  assert.equal((await call(service.url, 'DELETE', `/api/v3/checks/${doomedId}`)).status, 200)
  const deleted = acknowledged.length
  await eventually('heartbeats after the mistake', () => acknowledged.length > deleted + 5)
  const [mistake] = await sql<{ segment: string }>(url, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS segment')
  const archived = 'SELECT FROM pg_stat_archiver WHERE last_archived_wal >= $1'
  await eventually('the archive to hold it', async () => (await sql(url, archived, [mistake?.segment])).length > 0)
  // Half a second into the next one.
  const settled = acknowledged.length
  await eventually('heartbeats in the next one', () => acknowledged.length > settled + 22)

  const lostAt = Date.now()
  await origin.stop('SIGQUIT')
  loading = false
  await load
  await service.stop('SIGKILL')
  await rm(join(dir, 'data'), { recursive: true })

  const recover = async (target: Record<string, string>) => {
    const began = performance.now()
    await run('cp', ['-a', base, join(dir, 'data')])
    await writeFile(join(dir, 'data/recovery.signal'), '')
    await appendFile(join(dir, 'data/postgresql.conf'), "archive_mode = 'off'\n")
    await giveTo(account, join(dir, 'data'))
    const settings = { restore_command: 'cp "../archive/%f" "%p"', recovery_target_action: 'promote', ...target }
    const cluster = await startCluster(t, origin, settings)
    await eventually('the end of the recovery', async () => {
      const [row] = await sql<{ recovering: boolean }>(
        cluster.url('flatline'),
        'SELECT pg_is_in_recovery() AS recovering',
      )
      return row?.recovering === false
    })
    return { cluster, ms: performance.now() - began }
  }
  const bodiesOf = async (database: string) => {
    const rows = await sql<{ body: Buffer }>(database, 'SELECT body FROM heartbeat_bodies')
    return new Set(rows.map(({ body }) => body.toString()))
  }

  const end = await recover({})
  const kept = await bodiesOf(end.cluster.url('flatline'))
  const lost = acknowledged.filter(({ body }) => !kept.has(body))
  const reachesBack = lost.length === 0 ? 0 : lostAt - lost[0]!.at
  t.diagnostic(
    `${acknowledged.length} acknowledged, the last ${lostAt - (acknowledged.at(-1)?.at ?? 0)} ms before the loss; ${lost.length} lost, of the last ${reachesBack} ms; recovered in ${end.ms.toFixed(0)} ms`,
  )
  assert.ok(kept.size > 50)
  assert.ok(reachesBack < archiveTimeoutS * 1000 + patience(copyingMs), `lost up to ${reachesBack} ms`)
  assert.deepEqual(
    acknowledged.slice(0, -lost.length || undefined).filter(({ body }) => !kept.has(body)),
    [],
    'what is lost is the end and nothing before it',
  )
  const again = await build(t, { DATABASE_URL: end.cluster.url('flatline') })
  const { checks } = (await call(again.url, 'GET', '/api/v3/checks/')).json() as {
    checks: { name: string; n_pings: number }[]
  }
  assert.deepEqual(
    checks.map(({ name, n_pings }) => [name, n_pings]),
    [['steady', kept.size]],
  )
  assert.equal((await call(again.url, 'GET', steady, undefined, {})).status, 200)
  await again.app.close()
  await end.cluster.stop()
  await rm(join(dir, 'data'), { recursive: true })

  const { cluster } = await recover({ recovery_target_time: before?.now ?? '' })
  const names = await sql<{ name: string }>(cluster.url('flatline'), 'SELECT name FROM checks ORDER BY 1')
  assert.deepEqual(names, [{ name: 'doomed' }, { name: 'steady' }])
  const then = await bodiesOf(cluster.url('flatline'))
  const due = acknowledged.filter(({ at }) => at < Date.parse(`${before?.now}:00`))
  assert.ok(due.length > 10)
  assert.deepEqual(
    due.filter(({ body }) => !then.has(body)),
    [],
  )
  assert.ok(then.size < kept.size, 'what came after is not there')
})
