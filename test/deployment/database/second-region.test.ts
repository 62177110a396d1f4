// The recipe of docs/operations.md for a second region: a standby follows the primary, the first region is lost with its
// database and its service, the standby is promoted, and the service of the second region goes on.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { giveTo } from '../../../src/database/embedded/account.ts'
import { call, eventually, scratchDir } from '../../helper.ts'
import { pause } from '../../patience.ts'
import { sql } from '../../postgres.ts'
import { startService } from '../../scenarios/service.ts'
import { bin, createCluster, needsDebianPostgres, startCluster } from './debian-postgres.ts'

const run = promisify(execFile)

test('the second region goes on with the heartbeats that its standby had, and no check is down', {
  skip: needsDebianPostgres(),
}, async (t) => {
  const primary = await createCluster(t)
  await sql(primary.url('postgres'), 'CREATE DATABASE flatline')
  const first = await startService(t, { env: { DATABASE_URL: primary.url('flatline'), INGEST_MODE: 'available' } })
  const { json } = await call(first.url, 'POST', '/api/v3/checks/', { name: 'steady', timeout: 60, grace: 60 })
  const path = new URL(String(json().ping_url)).pathname

  const dir = await scratchDir(t)
  await giveTo(primary.account, dir)
  const copy = ['-d', primary.url('postgres'), '-D', join(dir, 'data'), '--checkpoint=fast', '--write-recovery-conf']
  await run(`${bin}/pg_basebackup`, copy, primary.account)
  const standby = await startCluster(t, { dir, account: primary.account })
  const lag = async () => {
    const rows = await sql<{ state: string }>(primary.url('postgres'), 'SELECT state FROM pg_stat_replication')
    return rows[0]?.state
  }
  await eventually('the standby to follow', async () => (await lag()) === 'streaming')

  const acknowledged: number[] = []
  let isSending = true
  const load = (async () => {
    while (isSending) {
      const { status } = await call(first.url, 'GET', path, undefined, {}).catch(() => ({ status: 0 }))
      if (status === 200) acknowledged.push(Date.now())
      await pause(10)
    }
  })()
  await eventually('heartbeats', () => acknowledged.length > 50)
  const lostAt = Date.now()
  await Promise.all([primary.stop('SIGQUIT'), first.stop('SIGKILL')])
  isSending = false
  await load

  await sql(standby.url('postgres'), 'SELECT pg_promote()')
  const second = await startService(t, { env: { DATABASE_URL: standby.url('flatline'), INGEST_MODE: 'available' } })
  assert.equal((await call(second.url, 'GET', path, undefined, {})).status, 200)
  const rtoMs = Date.now() - lostAt
  const { checks } = (await call(second.url, 'GET', '/api/v3/checks/')).json() as {
    checks: { status: string; n_pings: number }[]
  }
  const kept = (checks[0]?.n_pings ?? 0) - 1
  // What was acknowledged between the signal and the end of the primary may be in the spool of the lost region.
  const due = acknowledged.filter((at) => at < lostAt)
  const rpoMs = kept >= due.length ? 0 : lostAt - (due[kept] ?? lostAt)
  t.diagnostic(`acknowledged ${due.length}, kept ${kept}; RPO ${rpoMs} ms, RTO ${rtoMs} ms`)
  assert.equal(checks[0]?.status, 'up')
  assert.ok(kept > 40, 'the standby had all but the last heartbeats')
})
