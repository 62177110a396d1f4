import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'

type Row = { metric_name: string; metric_value: number; tags: Record<string, string>; timestamp: Date }

test('the service records its metrics in health_metrics, and once more when it ends', async (t) => {
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
