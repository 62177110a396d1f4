// A receiver that hangs or refuses: the service does not notice it.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { loadConfig } from '../../src/config/load.ts'
import { parsePairs } from '../../src/telemetry/pairs.ts'
import { loadTelemetry } from '../../src/telemetry/service.ts'
import { createReceiver, eventually } from '../helper.ts'
import { patience } from '../patience.ts'

const quiet = pino({ level: 'silent' })
const registry = { getMetricsAsJSON: async () => [] }

async function start(env: Record<string, string>, log = quiet) {
  const telemetry = await loadTelemetry(loadConfig({ env }), () => (text) => text)
  telemetry?.openTelemetry?.start(log, registry)
  return telemetry
}

test('nothing is loaded unless it is switched on', async () => {
  assert.equal(await start({}), null)
  assert.equal(await start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' }), null)
})

test('a receiver that never answers delays no commit, bounds the queue and does not delay the end', async (t) => {
  let requests = 0
  const server = createServer(() => requests++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const telemetry = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_BSP_SCHEDULE_DELAY: '1',
    OTEL_BSP_MAX_QUEUE_SIZE: '100',
    OTEL_EXPORTER_OTLP_TIMEOUT: '5s',
  })
  const tracing = telemetry?.openTelemetry?.tracing
  assert.ok(tracing)
  const tracer = tracing.provider.getTracer('test')
  for (let i = 0; i < 1000; i++) {
    const span = tracer.startSpan('request')
    tracing.remember(String(i), span)
    assert.equal(await tracing.commit([{ requestId: String(i) }], async () => i), i)
    span.end()
  }
  await eventually('a request', async () => requests > 0)
  const began = performance.now()
  await telemetry?.close()
  assert.ok(performance.now() - began < patience(4000))
})

test('a receiver that refuses is logged once a minute, without its headers', async (t) => {
  const receiver = await createReceiver(t, () => 403)
  const lines: string[] = []
  const stream = new Writable({
    write: (chunk, _, done) => {
      lines.push(String(chunk))
      done()
    },
  })
  const telemetry = await start(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a-secret-of-the-receiver',
      OTEL_BSP_SCHEDULE_DELAY: '1',
      OTEL_METRIC_EXPORT_INTERVAL: '100',
    },
    pino(stream) as never,
  )
  await eventually('several requests', async () => receiver.received.length > 3)
  await telemetry?.close()
  assert.equal(lines.length, 1, lines.join(''))
  const { event, reason } = JSON.parse(lines[0] ?? '')
  assert.equal(event, 'telemetry.failed')
  assert.match(reason, /403/)
  assert.doesNotMatch(lines.join(''), /a-secret/)
})

test('headers and attributes are pairs with percent-encoded values', () => {
  const cases: [string, Record<string, string>][] = [
    ['', {}],
    ['a=b', { a: 'b' }],
    [' a = b%2Cc , d=e=f,', { a: 'b,c', d: 'e=f' }],
    ['a=100%', { a: '100%' }],
  ]
  for (const [text, pairs] of cases) assert.deepEqual(parsePairs(text), pairs)
})
