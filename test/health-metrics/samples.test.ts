import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '../../src/database/service.ts'
import { createHealthMetrics } from '../../src/health-metrics/service.ts'
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

test('samples that the database does not take are dropped, and values that are no number are left out', async () => {
  const written: number[][] = []
  let away = true
  const healthMetric = {
    async createMany({ data }: { data: { metricValue: number }[] }) {
      if (away) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
      written.push(data.map(({ metricValue }) => metricValue))
    },
  }
  const database = { prisma: { healthMetric }, clock: { now: Date.now } } as unknown as Database
  let value = 0
  const read = async () => [
    { name: 'queue_length', value: ++value, labels: {} },
    { name: 'health_status', value: Number.NaN, labels: {} },
    { name: 'monitors', value: Number.POSITIVE_INFINITY, labels: {} },
  ]
  const metrics = createHealthMetrics({ database, read, node: 'a' })
  await assert.rejects(metrics.sample(), /away/)
  away = false
  await metrics.sample()
  assert.deepEqual(written, [[2]])
})
