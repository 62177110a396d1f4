// Uploads while the database is unavailable: their key and their checks cannot be looked up. What is answered OK is on
// disk, and what proves not to belong to the uploader is dropped at the replay.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminToken, call, eventually, keys, scratchDir } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { startService } from '../service.ts'
import { ownPostgres } from './own-postgres.ts'

test('an upload before the first database survives a restart and counts once, for its own project', async (t) => {
  const postgres = await ownPostgres(t)
  const env = { DATABASE_URL: postgres.url, DATA_DIR: await scratchDir(t) }
  const before = await startService(t, { env })
  const create = async (name: string, key: string) => {
    const answer = await call(
      before.url,
      'POST',
      '/api/v3/checks/',
      { name, slug: name, timeout: 3600 },
      { 'x-api-key': key },
    )
    return String(answer.json().uuid)
  }
  const other = (
    await call(before.url, 'POST', '/api/v3/projects/', { name: 'other' }, { authorization: `Bearer ${adminToken}` })
  ).json()
  const [byId, bySlug, foreign] = [
    await create('by-id', keys.api_key),
    await create('by-slug', keys.api_key),
    await create('foreign', String(other.api_key)),
  ]
  await before.stop()
  await postgres.stop()

  const first = await startService(t, { env, ready: false })
  await first.event('database.waiting')
  const upload = async (key: string, ...entries: object[]) => {
    const { status, json } = await call(first.url, 'POST', '/api/v3/heartbeats/', entries, { 'x-api-key': key })
    return [status, json().accepted]
  }
  const mine = [
    { check: byId, id: 'a', body: 'kept' },
    { check: 'by-slug' },
    { check: bySlug, id: 'b', exit_status: 3 },
  ]
  assert.deepEqual(await upload(keys.api_key, ...mine), [200, 3])
  assert.deepEqual(await upload(keys.ping_key, ...mine), [200, 3], 'tried again, nobody can tell')
  assert.deepEqual(await upload(keys.api_key, { check: foreign }, { check: 'never-made' }), [200, 2])
  assert.deepEqual(await upload('nobody-has-this-key-000000000000', { check: byId }), [200, 1])
  assert.deepEqual(await upload(keys.api_key_readonly, { check: byId }), [200, 1])
  assert.deepEqual(await upload('short', { check: byId }), [401, undefined])
  first.child.kill('SIGKILL')

  const second = await startService(t, { env, ready: false })
  await second.event('database.waiting')
  await postgres.start()
  await second.event('spool.adopted')
  await second.event('spool.end')
  const dropped = () =>
    second.lines().flatMap(({ event, heartbeats }) => (event === 'spool.dropped' ? [Number(heartbeats)] : []))
  await eventually('the dropped heartbeats are logged', () => dropped().reduce((sum, n) => sum + n, 0) === 4)
  const kept = await sql(
    postgres.url,
    `SELECT m.name, h.kind, h.exit_status, convert_from(b.body, 'UTF8') AS body, k.key FROM heartbeats h JOIN checks m ON m.id = h.check_id
       LEFT JOIN heartbeat_bodies b ON b.id = h.id LEFT JOIN heartbeat_keys k ON k.check_id = m.id ORDER BY m.name, h.n`,
  )
  assert.deepEqual(kept, [
    { name: 'by-id', kind: 'success', exit_status: null, body: 'kept', key: 'a' },
    // The one without a name cannot be known again.
    { name: 'by-slug', kind: 'success', exit_status: null, body: null, key: 'b' },
    { name: 'by-slug', kind: 'fail', exit_status: 3, body: null, key: 'b' },
    { name: 'by-slug', kind: 'success', exit_status: null, body: null, key: 'b' },
  ])
  assert.equal(await second.stop(), 0)
})
