// kill -9 at random moments: every recorded change is alerted nevertheless, in order, and with one key for each alert.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, createReceiver, eventually, keys } from '../../helper.ts'
import { patience, pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }
const rounds = 8
const checkCount = 12

test('three processes, one killed per round, lose no alert, keep the order, and use one key each', async (t) => {
  const env = {
    DATABASE_URL: await createDatabase(t),
    // A claim of a killed process runs out after the time-out and a quarter of a minute.
    CIRCUIT_BREAKER_REQUEST_TIMEOUT_MS: String(patience(1000)),
    FLATLINE__ALERTING__RETRY_BASE_MS: '100',
    FLATLINE__ALERTING__RETRY_MAX_MS: '500',
  }
  const services: Service[] = await Promise.all([0, 1, 2].map(() => startService(t, { env })))
  const anyUrl = () =>
    (services.find(({ child }) => child.exitCode === null && child.signalCode === null) as Service).url
  // Every seventh request is refused, so that there are retries too.
  const far = await createReceiver(t, (_request, count) => (count % 7 === 0 ? 500 : 200))
  const made = await call(
    anyUrl(),
    'POST',
    '/api/v3/channels/',
    { kind: 'webhook', name: 'hook', settings: { url: far.url } },
    auth,
  )
  assert.equal(made.status, 201, made.text)
  const ids: string[] = []
  for (let n = 0; n < checkCount; n++) {
    const check = { name: `job ${n}`, channels: '*', timeout: 86_400, grace: 86_400 }
    ids.push(String((await call(anyUrl(), 'POST', '/api/v3/checks/', check, auth)).json().uuid))
  }

  for (let round = 0; round < rounds; round++) {
    const signal = round % 2 === 0 ? '/fail' : ''
    const victim = services[round % 3] as Service
    const survivors = services.filter((service) => service !== victim)
    const pings = ids.map((id, n) =>
      call((survivors[n % 2] as Service).url, 'GET', `/ping/${id}${signal}`, undefined, {}),
    )
    await pause(Math.random() * 400)
    victim.child.kill('SIGKILL')
    await Promise.all([victim.exited, ...pings])
    services[round % 3] = await startService(t, { env })
  }

  const unfinished = async () =>
    (
      await sql<{ n: number }>(
        env.DATABASE_URL,
        `SELECT (SELECT count(*) FROM flips WHERE processed_at IS NULL)::int
           + (SELECT count(*) FROM deliveries WHERE status IN ('pending', 'retrying'))::int AS n`,
      )
    )[0]?.n
  await eventually('every alert to be sent', async () => (await unfinished()) === 0, 90_000)

  const rows = await sql<{
    check_id: string
    seq: number
    id: string
    status: string
    suppression: string | null
  }>(
    env.DATABASE_URL,
    `SELECT f.check_id, f.seq, d.id, d.status, d.suppression FROM flips f
       LEFT JOIN deliveries d ON d.subject_id = f.check_id AND d.flip_seq = f.seq ORDER BY f.check_id, f.seq`,
  )
  assert.equal(rows.length, rounds * checkCount, 'one flip and one delivery for each change')
  const told = rows.filter(({ status }) => status === 'sent')
  const combined = rows.filter(({ suppression }) => suppression === 'coalesced')
  assert.equal(told.length + combined.length, rows.length, 'nothing lost, nothing dead')
  const heard = far.received.map(({ body, headers }) => ({
    ...JSON.parse(body),
    key: String(headers['idempotency-key']),
  }))
  for (const id of ids) {
    const first = new Map<string, number>()
    const last = new Map<string, number>()
    for (const [index, { check, key }] of heard.entries()) {
      if (check.uuid !== id) continue
      if (!first.has(key)) first.set(key, index)
      last.set(key, index)
    }
    const own = told.filter(({ check_id }) => check_id === id)
    for (const { id: key } of own) assert.ok(first.has(key), 'what is called sent was received')
    own.slice(1).forEach(({ id: key }, index) => {
      const before = own[index]?.id as string
      assert.ok((first.get(key) as number) > (last.get(before) as number), 'in the order in which it happened')
    })
  }
  t.diagnostic(
    `${rounds} kills, ${rows.length} alerts: ${heard.length} requests, ${heard.length - new Set(heard.map(({ key }) => key)).size} repeats, ${combined.length} told with their recovery`,
  )
  await Promise.all(services.map((service) => service.stop()))
})
