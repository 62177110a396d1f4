// However much one project names in one call, the answer and the audit entry are bounded.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heldMaxMs, longestTurnMs } from '../cpu.ts'
import { build, createReceiver, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'

const path = '/api/v3/maintenance/'
const [from, to] = ['2026-01-01T00:00:00+00:00', '2099-01-01T00:00:00+00:00']
const longTags = Array.from({ length: 100 }, (_, n) => `${n}-${'x'.repeat(480)}`)

test('the names in maintenance windows are limited together, also in parallel', async (t) => {
  const { call, databaseUrl } = await build(t)
  const window = (name: string) => call('POST', path, { name, from, to, tags: longTags })
  for (let n = 0; n < 3; n++) assert.equal((await window(String(n))).status, 201)
  await sql(
    databaseUrl,
    `INSERT INTO maintenance_windows (id, project_id, name, cron, duration_s, tz, tags)
     SELECT gen_random_uuid(), project_id, 'w', '* * 29 2 *', 60, 'Europe/Berlin', (SELECT array_agg(n || '-' || tag) FROM unnest(tags) AS tag)
     FROM (SELECT * FROM maintenance_windows LIMIT 1) w, generate_series(1, 196) n`,
  )
  const made = await Promise.all(Array.from({ length: 5 }, (_, n) => window(`last ${n}`)))
  assert.deepEqual(made.map(({ status }) => status).sort(), [201, 409, 409, 409, 409])
  const refused = made.find(({ status }) => status === 409)
  assert.match(refused?.text ?? '', /name at most 20000 checks and tags/)

  let listed: unknown[] = []
  const held = await longestTurnMs(async () => {
    listed = (await call('GET', path)).json().maintenance as unknown[]
  }, 2)
  assert.equal(listed.length, 200)
  // Ten megabytes are read in this process, too.
  assert.ok(held < 3 * heldMaxMs, `${held} ms`)

  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'c', channels: '*', tags: 'a b c' })).json()
  const alerted = await longestTurnMs(async () => {
    await call('GET', `/ping/${uuid}`, undefined, {})
    const before = far.received.length
    await call('GET', `/ping/${uuid}/fail`, undefined, {})
    await eventually('the alert', () => far.received.length > before)
  }, 2)
  assert.ok(alerted < heldMaxMs, `${alerted} ms`)

  const entries = (await call('GET', '/api/v3/audit/?action=maintenance.create')).json().entries as object[]
  assert.equal(entries.length, 4)
  for (const entry of entries) assert.ok(JSON.stringify(entry).length < 5000)
})

test('hundreds of channels on thousands of checks make neither a large answer nor a large audit entry', async (t) => {
  const { call, databaseUrl } = await build(t)
  const settings = { url: 'http://a.example' }
  const { id } = (await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })).json()
  await sql(
    databaseUrl,
    `INSERT INTO channels (id, project_id, kind, name, settings)
     SELECT gen_random_uuid(), project_id, kind, 'hook ' || n, settings FROM channels, generate_series(1, 399) n WHERE id = $1`,
    [id],
  )
  const checks = Array.from({ length: 2000 }, (_, n) => ({ name: `c${n}`, channels: '*' }))
  const dry = await call('POST', '/api/v3/definitions/', { dry_run: true, checks })
  assert.equal(dry.status, 200)
  assert.ok(dry.text.length < 4_000_000, `${dry.text.length} characters`)
  assert.match(dry.text, /,[0-9a-f-]{36} and 380 more"/)

  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'one' })).json()
  await call('POST', `/api/v3/checks/${uuid}`, { channels: '*' })
  await call('POST', `/api/v3/checks/${uuid}`, { channels: String(id) })
  const { entries } = (await call('GET', `/api/v3/audit/?action=check.update&target=${uuid}`)).json()
  const [last] = entries as { detail: { before: { channels: string }; after: { channels: string } } }[]
  assert.match(last?.detail.before.channels ?? '', / and 380 more$/)
  assert.equal(last?.detail.after.channels, id)
})

test('a body of nothing but brackets and one escape blocks nobody', async (t) => {
  const { call } = await build(t)
  const deep = `${'['.repeat(90)}${'0,'.repeat(3_900_000)}0${']'.repeat(90)}`
  let status = 0
  const held = await longestTurnMs(async () => {
    status = (await call('POST', '/api/v3/definitions/', `{"checks": ["\\ud83d\\ude00", ${deep}]}`)).status
  }, 2)
  assert.equal(status, 200)
  assert.ok(held < 3 * heldMaxMs, `${held} ms`)
})
