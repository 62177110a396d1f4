// An interrupted replay is repeated and finds the heartbeats that are already stored, whether that is all of a
// segment, part of it, or one.

import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Received } from '../../../src/ingest/signal.ts'
import { build, call, eventually, scratchDir } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { received } from '../received.ts'
import { encodeEntry } from './spool-entry.ts'

type Stored = { id: string; at: number; checkId: string; kind: 'success'; rid: string }

const stored = (url: string) =>
  sql<Stored>(
    url,
    `SELECT id, extract(epoch FROM received_at)::float8 * 1000 AS at, check_id AS "checkId", kind, rid
     FROM heartbeats ORDER BY check_id, n`,
  )

test('the records of a segment are stored once, however many of them were stored before', async (t) => {
  const databaseUrl = await createDatabase(t)
  const { url } = await build(t, { DATABASE_URL: databaseUrl })
  const checks: string[] = []
  for (let i = 0; i < 4; i++) {
    const made = await call(url, 'POST', '/api/v3/checks/', { timeout: 3600, grace: 3600 })
    checks.push(String(made.json().uuid))
  }
  const signals = ['', '', '/fail', '', '/log']
  for (const check of checks)
    for (const signal of signals) await call(url, 'POST', `/ping/${check}${signal}?rid=${crypto.randomUUID()}`, 'body')
  const before = await stored(databaseUrl)
  const of = (check: string | undefined) => before.filter(({ checkId }) => checkId === check).map(heartbeatOf)
  const fresh = { ...(of(checks[2])[0] as Received), id: crypto.randomUUID(), at: Date.now(), rid: crypto.randomUUID() }

  const dataDir = await scratchDir(t)
  const abandoned = join(dataDir, 'spool', 'abandoned')
  await mkdir(abandoned, { recursive: true })
  await writeFile(join(abandoned, 'owner.json'), JSON.stringify({ host: hostname(), pid: 1, startedAt: 'before' }))
  const segments = [
    of(checks[0]),
    ...of(checks[1]).map((one) => [one]),
    [...of(checks[2]), fresh],
    of(checks[3]).slice(1, 2),
  ]
  for (const [i, records] of segments.entries())
    await writeFile(join(abandoned, `000000000${i}.spool`), Buffer.concat(records.map(encodeEntry)))
  await build(t, { DATABASE_URL: databaseUrl, DATA_DIR: dataDir })

  await eventually('an empty spool', async () => {
    const left = await readdir(join(dataDir, 'spool'), { recursive: true })
    return left.every((path) => !path.endsWith('.spool'))
  })
  const after = await stored(databaseUrl)
  assert.deepEqual(
    after.filter(({ rid }) => rid !== fresh.rid),
    before,
  )
  assert.equal(after.length, before.length + 1)
  const counted = await sql<{ n: string }>(databaseUrl, 'SELECT n FROM checks ORDER BY n')
  assert.deepEqual(
    counted.map(({ n }) => n),
    ['5', '5', '5', '6'],
  )
})

function heartbeatOf({ at, ...stored }: Stored): Received {
  return received({ ...stored, at: Math.round(at), method: 'POST', body: Buffer.from('body') })
}
