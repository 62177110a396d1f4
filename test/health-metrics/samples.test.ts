import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, eventually } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

type Row = { metric_name: string; metric_value: number; tags: Record<string, string>; timestamp: Date }

test('the service samples itself into health_metrics, and once more when it ends', async (t) => {
  const { app, call, databaseUrl } = await build(t)
  const rows = (name: string) =>
    sql<Row>(databaseUrl, 'SELECT * FROM health_metrics WHERE metric_name = $1 ORDER BY id', [name])
  const [memory] = await eventually('a sample', async () => {
    const found = await rows('process_resident_memory_bytes')
    return found.length > 0 && found
  })
  assert.ok((memory?.metric_value ?? 0) > 10_000_000)
  assert.ok(memory?.tags.node)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  await call('GET', `/ping/${uuid}`, undefined, {})
  await app.close()
  const last = (await rows('heartbeats_received_total')).at(-1)
  assert.deepEqual([last?.metric_value, last?.tags.kind, last?.tags.outcome], [1, 'success', 'recorded'])
})

test('samples older than their retention are removed', async (t) => {
  const databaseUrl = await createDatabase(t)
  const insert =
    "INSERT INTO health_metrics (timestamp, metric_name, metric_value) VALUES (now() - $1::interval, 'monitors', 1)"
  for (const age of ['31 days', '29 days']) await sql(databaseUrl, insert, [age])
  await build(t, { DATABASE_URL: databaseUrl })
  const old = () => sql(databaseUrl, "SELECT 1 FROM health_metrics WHERE timestamp < now() - interval '1 day'")
  await eventually('the sweep', async () => (await old()).length === 1)
})
