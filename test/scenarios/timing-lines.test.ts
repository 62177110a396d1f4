// The lines that say how long batches, passes of the detector, deliveries and migrations took, from a real process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, createReceiver, eventually, keys } from '../helper.ts'
import { createDatabase } from '../postgres.ts'
import { startService } from './service.ts'

test('batches, detector passes, deliveries and migrations leave a line with their duration', async (t) => {
  const { url: receiver } = await createReceiver(t)
  const service = await startService(t, {
    env: { DATABASE_URL: await createDatabase(t, { empty: true }), LOG_LEVEL: 'debug' },
  })
  const api = { 'x-api-key': keys.api_key }
  const webhook = async (url: string) =>
    (
      await call(service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name: url, settings: { url } }, api)
    ).json()
  // Nothing listens on port 9.
  const channels = [(await webhook(receiver)).id, (await webhook('http://127.0.0.1:9/')).id].join()
  const { ping_url } = (
    await call(service.url, 'POST', '/api/v3/checks/', { name: 'n', timeout: 1, grace: 1, channels }, api)
  ).json()
  await fetch(String(ping_url))
  const lines = (wanted: string) => service.lines().filter(({ event }) => event === wanted)
  await eventually('both deliveries', () => lines('delivery.attempt').length >= 2)

  const table: [event: string, fields: Record<string, unknown>][] = [
    ['batch.written', { success: true, items: 1 }],
    ['detector.pass', { success: true, items: 1 }],
    ['delivery.attempt', { success: true, items: 1, kind: 'webhook' }],
    ['delivery.attempt', { success: false, items: 1, kind: 'webhook' }],
  ]
  for (const [event, fields] of table) {
    const found = lines(event).find((line) => Object.entries(fields).every(([name, value]) => line[name] === value))
    assert.ok(
      found && Number(found.durationMs) > 0,
      `${event} ${JSON.stringify(fields)}: ${JSON.stringify(lines(event))}`,
    )
  }
  assert.equal(lines('batch.written').length, 1)
  for (const { delivery, sendMs, durationMs } of lines('delivery.attempt')) {
    assert.ok(
      lines('delivery.sent')
        .concat(lines('delivery.retry'))
        .some((line) => line.delivery === delivery),
    )
    assert.ok(Number(sendMs) <= Math.ceil(Number(durationMs)))
  }
  const migrations = lines('migration.applied')
  assert.ok(migrations.length > 0 && migrations.every(({ durationMs, level }) => Number(durationMs) > 0 && level))
})
