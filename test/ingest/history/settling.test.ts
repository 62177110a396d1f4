// Heartbeats that arrive after later ones were evaluated.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, createReceiver, eventually } from '../../helper.ts'
import { sql } from '../../postgres.ts'

type FlipRow = { seq: number; at: Date; from: string; to: string; reason: string }

test('late uploads of a device correct a false outage, visibly and in order', async (t) => {
  const { call, databaseUrl } = await build(t)
  const receiver = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: receiver.url } })
  const made = await call('POST', '/api/v3/checks/', { timeout: 2, grace: 1, channels: '*' })
  const check = String(made.json().uuid)
  const upload = (...at: number[]) =>
    call(
      'POST',
      '/api/v3/heartbeats/',
      at.map((time) => ({ check, at: new Date(time).toISOString() })),
    )
  const flips = () => sql<FlipRow>(databaseUrl, 'SELECT * FROM flips WHERE check_id = $1 ORDER BY seq', [check])
  await upload(Date.now())
  await eventually('the outage', async () => (await flips()).length === 2)
  await eventually('its alert', () => receiver.received.length === 1)
  const down = (await flips())[1] as FlipRow
  // One just before the deadline, which the alert could not know, and one of now.
  await upload(down.at.getTime() - 500, down.at.getTime() + 1500, Date.now())
  const all = await eventually('the correction', async () => {
    const rows = await flips()
    return rows[2] && rows
  })
  assert.deepEqual([all[2]?.from, all[2]?.to], ['down', 'up'])
  const dates = all.map(({ at }) => at.getTime())
  assert.deepEqual(
    dates,
    dates.toSorted((a, b) => a - b),
  )
  await eventually('its alert', () => receiver.received.length === 2)
  const document = JSON.parse(receiver.received[1]?.body ?? '')
  assert.deepEqual([document.event, document.flip.reason], ['up', all[2]?.reason])
})

test('a late failure between two successes becomes an outage with alerts', async (t) => {
  const { call, databaseUrl } = await build(t)
  const made = await call('POST', '/api/v3/checks/', { timeout: 3600, grace: 60 })
  const check = String(made.json().uuid)
  const now = Date.now()
  const upload = (at: number, kind: string) =>
    call('POST', '/api/v3/heartbeats/', [{ check, kind, at: new Date(at).toISOString() }])
  await upload(now - 9000, 'success')
  await upload(now - 3000, 'success')
  await upload(now - 6000, 'fail')
  const rows = await eventually('both changes', async () => {
    const found = await sql<FlipRow>(databaseUrl, 'SELECT * FROM flips WHERE check_id = $1 ORDER BY seq', [check])
    return found.length === 3 && found
  })
  assert.deepEqual(
    rows.map(({ at, to, reason }) => [at.getTime() - now, to, reason]),
    [
      [-9000, 'up', 'recovered'],
      [-6000, 'down', 'fail'],
      [-3000, 'up', 'recovered'],
    ],
  )
  const document = (await call('GET', `/api/v3/checks/${check}`)).json()
  assert.deepEqual([document.status, document.n_pings], ['up', 3])
})

test('a check whose history cannot be evaluated again blocks no other check and stays monitored', async (t) => {
  const { app, call, databaseUrl } = await build(t)
  const ids: string[] = []
  for (let i = 0; i < 2; i++) ids.push(String((await call('POST', '/api/v3/checks/', { timeout: 60 })).json().uuid))
  for (const id of ids) assert.equal((await call('GET', `/ping/${id}`, undefined, {})).text, 'OK')
  const [broken] = ids
  await sql(databaseUrl, "UPDATE checks SET kind = 'cron', schedule = 'no schedule' WHERE id = $1", [broken])
  await sql(databaseUrl, "UPDATE checks SET unsettled_from = now() - interval '1 minute', unsettled_to = now()")
  await eventually('both to be settled', async () => {
    const left = await sql(databaseUrl, 'SELECT 1 FROM checks WHERE unsettled_to IS NOT NULL')
    return left.length === 0
  })
  assert.deepEqual(await app.checks.unsettled(Date.now(), 10), [])
})
