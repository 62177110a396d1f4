// Two processes on one database, and a destination that asks one of them for a pause (Retry-After).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../../fake-destination.ts'
import { call, eventually } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { startService } from '../service.ts'

test('a pause that a destination asks of one process is kept by the other one, too', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t) }
  const services = await Promise.all([startService(t, { env }), startService(t, { env })])
  const [{ url }] = services
  const asked: string[] = []
  let busy = true
  const far = await listen(t, (request, response) => {
    asked.push(request.url ?? '')
    if (request.url === '/busy' && busy) response.writeHead(429, { 'retry-after': '86400' })
    response.end('ok')
  })
  for (const name of ['busy', 'free'])
    await call(url, 'POST', '/api/v3/channels/', { kind: 'webhook', name, settings: { url: `${far}/${name}` } })
  const fail = async (name: string) => {
    const { uuid } = (await call(url, 'POST', '/api/v3/checks/', { name, channels: '*' })).json()
    await call(url, 'GET', `/ping/${uuid}/fail`)
  }
  const count = (path: string) => asked.filter((one) => one === path).length

  await fail('first')
  await eventually('the rest is known', async () => {
    const [row] = await sql<{ n: number }>(env.DATABASE_URL, 'SELECT count(retry_after_at)::int AS n FROM channels')
    return row?.n === 1
  })
  for (let n = 0; n < 20; n++) {
    await fail(`job ${n}`)
    await eventually('the other channel got its alert', () => count('/free') === n + 2)
  }
  const waiting = await sql<{ attempts: number; n: number }>(
    env.DATABASE_URL,
    `SELECT attempts, count(*)::int AS n FROM deliveries JOIN channels c ON c.id = channel_id
     WHERE c.name = 'busy' AND status IN ('pending', 'retrying') GROUP BY 1 ORDER BY 1`,
  )
  assert.deepEqual(
    [count('/busy'), waiting],
    [
      1,
      [
        { attempts: 0, n: 20 },
        { attempts: 1, n: 1 },
      ],
    ],
  )

  const { deliveries } = (await call(url, 'GET', '/api/v3/deliveries/?status=pending')).json()
  const next = (deliveries as { next_attempt: string }[]).map((one) => Date.parse(one.next_attempt) - Date.now())
  assert.ok(
    next.every((ms) => ms > 600_000),
    'when they go next is no secret',
  )

  busy = false
  await sql(env.DATABASE_URL, 'UPDATE channels SET retry_after_at = NULL')
  await Promise.all(services.map((service) => service.stop()))
  await startService(t, { env })
  await eventually('the waiting alerts are sent', () => count('/busy') >= 21)
})
