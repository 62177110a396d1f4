import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, createReceiver, eventually, keys } from '../helper.ts'
import { sql } from '../postgres.ts'

test('the request id of a failing ping is on its flip, its delivery and the alert; a timeout has none', async (t) => {
  const far = await createReceiver(t)
  const { call, databaseUrl } = await build(t)
  const settings = { url: far.url }
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })
  const check = (await call('POST', '/api/v3/checks/', { name: 'job', timeout: 1, grace: 1, channels: '*' })).json()
  const ping = new URL(String(check.ping_url)).pathname

  await call('GET', ping)
  await call('GET', `${ping}/fail`, undefined, { 'x-request-id': 'night-42' })
  await eventually('the alert', () => far.received.length === 1)
  assert.equal(far.received[0]?.headers['x-request-id'], 'night-42')

  await call('GET', ping, undefined, { 'x-request-id': 'night-43' })
  await eventually('the silence', () => far.received.length === 3)
  assert.deepEqual(
    far.received.map(({ headers }) => headers['x-request-id']),
    ['night-42', 'night-43', undefined],
  )
  const told = (await call('GET', '/api/v3/deliveries/')).json().deliveries as { request_id: string | null }[]
  assert.deepEqual(
    told.map(({ request_id }) => request_id),
    [null, 'night-43', 'night-42'],
  )

  const paused = { 'x-api-key': keys.api_key, 'x-request-id': 'by-hand' }
  await call('POST', `/api/v3/checks/${check.uuid}/pause`, '', paused)
  const [flip] = await sql<{ request_id: string }>(
    databaseUrl,
    'SELECT request_id FROM flips ORDER BY seq DESC LIMIT 1',
  )
  assert.equal(flip?.request_id, 'by-hand')
})
