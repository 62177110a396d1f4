// What becomes of Prometheus' metrics over OTLP.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DataPoint, Histogram } from '@opentelemetry/sdk-metrics'
import { createConversion } from '../../src/telemetry/metrics.ts'

const counter = (value: number) => ({
  ...{ name: 'sent_total', help: 'Sent', type: 'counter' },
  values: [{ labels: { kind: 'mail' }, value }],
})

const bucket = (le: string | number, value: number) => ({ metricName: 'took_bucket', labels: { le, kind: 'x' }, value })
const histogram = {
  ...{ name: 'took', help: 'Took', type: 'histogram' },
  values: [
    ...[bucket(0.1, 2), bucket(1, 5), bucket('+Inf', 6)],
    { metricName: 'took_sum', labels: { kind: 'x' }, value: 12 },
    { metricName: 'took_count', labels: { kind: 'x' }, value: 6 },
  ],
}

test('a histogram counts each value in one bucket, and other labels stay', () => {
  const [metric] = createConversion('cumulative')([histogram], [2, 0])
  const [point] = (metric?.dataPoints ?? []) as DataPoint<Histogram>[]
  assert.deepEqual(point?.attributes, { kind: 'x' })
  assert.deepEqual(point?.value, { buckets: { boundaries: [0.1, 1], counts: [2, 3, 1] }, sum: 12, count: 6 })
})

test('counters are totals, or the difference to the export before; gauges stay', () => {
  const gauge = { ...counter(4), name: 'waiting', type: 'gauge' }
  const cases = [
    ['cumulative', [5, 8]],
    ['delta', [5, 3]],
  ] as const
  for (const [temporality, expected] of cases) {
    const convert = createConversion(temporality)
    const values = [5, 8].map((value) => convert([counter(value), gauge], [value, 0]).map((one) => one.dataPoints[0]))
    assert.deepEqual(
      values.map(([sent]) => sent?.value),
      expected,
    )
    assert.deepEqual(
      values.map(([, waiting]) => waiting?.value),
      [4, 4],
    )
    assert.equal(values[1]?.[0]?.startTime[0] === 5, temporality === 'delta')
  }
})

test('a histogram as differences has no negative counts', () => {
  const convert = createConversion('delta')
  convert([histogram], [1, 0])
  const later = { ...histogram, values: histogram.values.map((one) => ({ ...one, value: one.value + 1 })) }
  const [metric] = convert([later], [2, 0])
  const [point] = (metric?.dataPoints ?? []) as DataPoint<Histogram>[]
  assert.deepEqual(point?.value, { buckets: { boundaries: [0.1, 1], counts: [1, 0, 0] }, sum: 1, count: 1 })
})
