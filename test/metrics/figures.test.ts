import assert from 'node:assert/strict'
import { test } from 'node:test'
import client from '@prometheus-io/client'
import { createTenantLabels } from '../../src/metrics/domain.ts'
import { createObservedGauges } from '../../src/metrics/observed.ts'
import { createServiceLevel } from '../../src/metrics/service-level.ts'
import { eventually } from '../helper.ts'
import { within } from '../patience.ts'

test('a thousand projects have a hundred and one labels', () => {
  const label = createTenantLabels(100)
  const labels = new Set(Array.from({ length: 1000 }, (_, i) => label(`project-${i}`)))
  assert.equal(labels.size, 101)
  assert.ok(labels.has('other'))
  assert.equal(label('project-7'), 'project-7')
  assert.equal(label('project-700'), 'other')
  assert.equal(label(''), '')
  assert.equal(createTenantLabels(0)('project-7'), '')
})

test('availability, errors and latencies cover the last minutes, and roll', () => {
  let now = 1_000_000 * 60_000
  const service = createServiceLevel(() => now)
  assert.deepEqual(service.level(5), { requests: 0, availability: 1, errorRate: 0, p95: null, p99: null })

  for (let i = 0; i < 99; i++) service.record(0.004, false)
  service.record(0.4, true)
  const level = service.level(5)
  assert.equal(level.requests, 100)
  assert.equal(level.availability, 0.99)
  assert.ok(level.p95 !== null && level.p95 > 0.0025 && level.p95 <= 0.005)

  now += 4 * 60_000
  for (let i = 0; i < 100; i++) service.record(20, true)
  assert.equal(service.level(5).requests, 200)
  assert.equal(service.level(5).errorRate, 101 / 200)
  assert.equal(service.level(5).p99, 10, 'slower than the last bound counts as the bound')

  now += 60_000
  assert.equal(service.level(5).requests, 100, 'the first minute has left the window')
  assert.equal(service.level(60).requests, 200)
  now += 1435 * 60_000
  assert.equal(service.level(1440).requests, 100, 'a day later the first is forgotten')
  now += 5 * 60_000
  assert.equal(service.level(1440).requests, 0)
  service.record(0.001, false)
  assert.deepEqual([service.level(5).requests, service.level(1440).requests], [1, 1])
})

test('a gauge shows the values of its readers; a reader that hangs or fails does not delay the others', async () => {
  const registry = new client.Registry()
  const observe = createObservedGauges(client, registry, {
    well: { help: 'a' },
    parts: { help: 'b', labels: ['part'] },
    hangs: { help: 'c', labels: ['part'] },
    fails: { help: 'd', labels: ['part'] },
    seldom: { help: 'e' },
  })
  let reads = 0
  observe('well', () => [{ value: 7 }])
  observe('parts', () => [{ value: 1, labels: { part: 'x' } }])
  observe('parts', async () => [{ value: 2, labels: { part: 'y' } }])
  observe('hangs', () => new Promise(() => {}))
  observe('fails', () => Promise.reject(new Error('no')))
  observe('seldom', () => [{ value: ++reads }], { everyMs: 60_000 })
  const text = await within('the metrics', registry.metrics())
  assert.match(text, /^well 7$/m)
  assert.match(text, /^parts\{part="x"\} 1\nparts\{part="y"\} 2$/m)
  assert.doesNotMatch(text, /^(hangs|fails)\{/m)
  await registry.metrics()
  await eventually('one read', () => reads === 1)
})
