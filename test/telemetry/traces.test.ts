// The whole service exports over OTLP as JSON to a receiver that decodes it.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { build, createReceiver, eventually, keys, scratchDir } from '../helper.ts'
import { createOtlpReceiver } from './receiver.ts'

const job = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const traceparent = `00-${job.traceId}-${job.spanId}-01`
const secretHeader = 'a-secret-of-the-receiver'

test('traces, metrics and logs over OTLP', async (t) => {
  const otlp = await createOtlpReceiver(t)
  const hook = await createReceiver(t, () => 503)
  const logFile = join(await scratchDir(t), 'flatline.log')
  const { app, url, call } = await build(t, {
    LOG_LEVEL: 'info',
    LOG_FILE: logFile,
    OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: `x-token=${secretHeader}`,
    OTEL_SERVICE_NAME: 'nightly',
    OTEL_RESOURCE_ATTRIBUTES: 'team=night%20shift',
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  })
  const made = (await call('POST', '/api/v3/checks/', { name: 'backup', timeout: 3600, channels: '' })).json()
  const checkId = String(made.ping_url).split('/').at(-1) ?? ''
  const settings = { url: `${hook.url}/hook/secret-path-of-the-webhook?token=secret-of-the-query` }
  const channel = (await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })).json()
  await call('POST', `/api/v3/checks/${checkId}`, { channels: channel.id })

  await t.test('the span of a ping continues the trace of the job, and contains its commit', async () => {
    const answer = await fetch(`${url}/ping/${checkId}`, { headers: { traceparent } })
    assert.equal(answer.status, 200)
    const request = await otlp.span('the request', ({ traceId, kind }) => traceId === job.traceId && kind === 2)
    assert.equal(request.parentSpanId, job.spanId)
    assert.equal(request.attributes['http.response.status_code'], 200)
    const commit = await otlp.span('the commit', ({ parentSpanId }) => parentSpanId === request.spanId)
    assert.equal(commit.name, 'heartbeats commit')
    assert.equal(commit.attributes['flatline.heartbeats'], 1)
    const statement = await otlp.span('a statement', ({ parentSpanId }) => parentSpanId === commit.spanId)
    assert.equal(statement.attributes['db.system.name'], 'postgresql')
    assert.equal(statement.kind, 3)
  })

  await t.test('pings that are committed together are linked with the one commit', async () => {
    const before = otlp.spans().length
    await Promise.all(Array.from({ length: 40 }, () => fetch(`${url}/ping/${checkId}`, { method: 'POST' })))
    const isShared = ({ name, links }: { name: string; links: object[] }) =>
      name === 'heartbeats commit' && links.length > 0
    const commit = await otlp.span('a commit of several', isShared)
    const linked = commit.links[0]
    const ping = await otlp.span('a linked ping', ({ spanId }) => spanId === linked?.spanId)
    assert.deepEqual(ping.links, [{ traceId: commit.traceId, spanId: commit.spanId }])
    await eventually('all pings', async () => otlp.spans().length >= before + 40)
  })

  await t.test('a failure leads from the job to the status change, its delivery and the request', async () => {
    const failing = { traceId: '11111111111111111111111111111111', spanId: '2222222222222222' }
    const header = { traceparent: `00-${failing.traceId}-${failing.spanId}-01` }
    await fetch(`${url}/ping/${checkId}/fail`, { headers: header })
    const flip = await otlp.span('the flip', ({ name, attributes }) => {
      return name === 'flip' && attributes['flatline.flip.to'] === 'down'
    })
    const request = await otlp.span('the ping', ({ traceId, kind }) => traceId === failing.traceId && kind === 2)
    assert.deepEqual(flip.links, [{ traceId: failing.traceId, spanId: request.spanId }])
    assert.equal(flip.attributes['flatline.flip.reason'], 'fail')
    assert.equal(flip.attributes['flatline.request_id'], failing.traceId)
    const delivery = await otlp.span('the delivery', ({ name, parentSpanId }) => {
      return name === 'delivery' && parentSpanId === flip.spanId
    })
    assert.equal(delivery.traceId, flip.traceId)
    assert.equal(delivery.attributes['flatline.channel.kind'], 'webhook')
    assert.equal(delivery.attributes['flatline.delivery.outcome'], 'retrying')
    assert.equal(delivery.status, 2)
    const sent = await otlp.span('the request of the delivery', ({ attributes, parentSpanId }) => {
      return parentSpanId === delivery.spanId && 'http.request.method' in attributes
    })
    assert.equal(sent.attributes['http.response.status_code'], 503)
    assert.equal(sent.attributes['server.address'], '127.0.0.1')
  })

  await t.test('probes and scrapes make no spans, other calls have the name of their route', async () => {
    await fetch(`${url}/health/live`)
    await fetch(`${url}/metrics`)
    await call('GET', '/api/v3/checks/')
    const listing = await otlp.span('the call', ({ name }) => name === 'GET /api/v3/checks/')
    assert.equal(listing.attributes['url.path'], '/api/v3/checks/')
    assert.deepEqual(
      otlp.spans().filter(({ name }) => /health|metrics/.test(name)),
      [],
    )
  })

  await t.test('the metrics are those of /metrics', async () => {
    const points = await eventually('the metrics', async () => {
      const all = otlp.points('heartbeats_received_total')
      return all.some(({ attributes }) => attributes.kind === 'fail' && attributes.outcome === 'recorded') && all
    })
    const text = await (await fetch(`${url}/metrics`)).text()
    for (const { attributes } of points)
      assert.match(text, new RegExp(`heartbeats_received_total\\{kind="${attributes.kind}"`))
    const [batch] = otlp.points('heartbeat_batch_size')
    const counts = batch?.bucketCounts?.map(Number) ?? []
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      Number(batch?.count),
    )
  })

  await t.test('log lines have the trace of their request, in the file and in the export', async () => {
    const line = await eventually('the line', async () =>
      otlp.logs().find(({ attributes }) => attributes.event === 'flip' && attributes.reason === 'fail'),
    )
    assert.equal(line.body, 'status changed')
    assert.equal(line.severityText, 'info')
    assert.equal(line.traceId, '11111111111111111111111111111111')
    const written = (await readFile(logFile, 'utf8')).split('\n').find((one) => one.includes('"reason":"fail"'))
    assert.equal(JSON.parse(written ?? '{}').trace_id, line.traceId)
  })

  await t.test('what is exported names the service, has the headers and contains no secret', async () => {
    await fetch(`${url}/ping/${keys.ping_key}/unknown-slug`)
    await fetch(`${url}/pingg/${keys.ping_key}/mistyped`)
    await call('GET', `/api/v3/checks/?key=${keys.api_key}`)
    await app.close()
    assert.equal(otlp.resource('/v1/traces')['service.name'], 'nightly')
    for (const path of ['/v1/traces', '/v1/metrics', '/v1/logs']) {
      assert.equal(otlp.resource(path).team, 'night shift')
      assert.equal(otlp.received.find((one) => one.url === path)?.headers['x-token'], secretHeader)
    }
    const all = otlp.received.map(({ body }) => body).join('\n')
    const secrets = [...Object.values(keys), checkId, channel.id, secretHeader, 'secret-path', 'secret-of-the-query']
    for (const secret of secrets) assert.ok(!all.includes(String(secret)), `${secret} was exported`)
  })
})
