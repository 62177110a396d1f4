import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { failureReasons } from '../../src/core/failure-reason.ts'
import { build, createReceiver, eventually } from '../helper.ts'
import { spawnService, startService } from '../scenarios/service.ts'

/** Names that the founding documents ask for and that are not mapped to others in docs/metrics.md. */
const required = [
  'active_connections',
  'app_ready',
  'cache_operations_total',
  'circuit_breaker_rejections_total',
  'circuit_breaker_requests_total',
  'circuit_breaker_state',
  'circuit_breaker_transitions_total',
  'container_memory_limit_bytes',
  'cpu_limit_cores',
  'data_staleness_ms',
  'database_connections_active',
  'database_connections_idle',
  'database_connections_max',
  'database_connections_waiting',
  'database_query_duration_seconds',
  'db_connection_attempts_total',
  'db_connection_failures_total',
  'graceful_shutdowns_total',
  'health_check_duration_seconds',
  'health_check_status',
  'health_status',
  'heartbeats_received_total',
  'http_request_duration_seconds',
  'http_requests_total',
  'max_staleness_ms',
  'memory_usage_bytes',
  'monitors',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'shutdown_phase',
]

type Family = { help: string; type: string; samples: { name: string; labels: string; value: number }[] }

/** Strict: throws at the first line that is not of the text format. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let current = ''
  assert.ok(text.endsWith('\n'))
  for (const line of text.split('\n').filter(Boolean)) {
    const help = /^# HELP ([a-zA-Z_:][\w:]*) (.+)$/.exec(line)
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary)$/.exec(line)
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/.exec(line)
    if (help) {
      assert.ok(!families.has(help[1] as string), `${help[1]} twice`)
      current = help[1] as string
      families.set(current, { help: help[2] as string, type: '', samples: [] })
    } else if (type) {
      assert.equal(type[1], current)
      ;(families.get(current) as Family).type = type[2] as string
    } else if (sample) {
      const [, name = '', labels = '', value = ''] = sample
      assert.ok(name === current || name.replace(/_(bucket|sum|count)$/, '') === current, `${name} below ${current}`)
      assert.ok(!seen.has(name + labels), `${name}${labels} twice`)
      assert.ok(!Number.isNaN(Number(value.replace('Inf', 'Infinity'))) || value === 'Nan' || value === 'NaN', line)
      seen.add(name + labels)
      ;(families.get(current) as Family).samples.push({ name, labels, value: Number(value) })
    } else assert.fail(`not of the format: ${line}`)
  }
  return families
}

test('a scrape is well-formed, every metric has a help text, and every required name exists', async (t) => {
  const { app, call } = await build(t)
  const receiver = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: receiver.url } })
  const check = (await call('POST', '/api/v3/checks/', { name: 'job', timeout: 60, grace: 60, channels: '*' })).json()
  const ping = new URL(String(check.ping_url)).pathname
  await call('GET', ping)
  await call('GET', `${ping}/fail`)
  await eventually('the alert', () => receiver.received.length === 1)
  await eventually('its count', async () =>
    /^deliveries_total\{kind="webhook",outcome="sent",tenant="[0-9a-f-]{36}"\} 1$/m.test(
      (await call('GET', '/metrics', undefined, {})).text,
    ),
  )
  await call('GET', '/nowhere')

  const scrape = await call('GET', '/metrics', undefined, {})
  assert.match(scrape.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4; charset=utf-8/)
  const families = parse(scrape.text)
  assert.deepEqual(
    required.filter((name) => !families.has(name)),
    [],
  )
  // Node's own gauges of handles and requests end in _total, too.
  const own = [...families].filter(([name]) => !name.startsWith('nodejs_'))
  const odd = own.filter(([name, { type }]) => (type === 'counter') !== name.endsWith('_total'))
  assert.deepEqual(
    odd.map(([name]) => name),
    [],
  )
  assert.match(scrape.text, /http_requests_total\{method="GET",route="__unknown__",status_code="404"\} 1/)
  assert.match(scrape.text, /heartbeats_received_total\{kind="success",outcome="recorded",tenant="[0-9a-f-]{36}"\} 1/)
  assert.match(scrape.text, /flips_total\{from="up",to="down",reason="fail",tenant="[0-9a-f-]{36}"\} 1/)
  const values = (name: string) =>
    Object.fromEntries((families.get(name)?.samples ?? []).map((one) => [one.labels, one.value]))
  assert.ok(Number(values('cache_operations_total')['{cache="keys",operation="get",result="hit"}']) >= 1)
  assert.ok(Number(values('active_connections')['']) >= 1)
  for (const type of ['rss', 'heap_used', 'heap_total', 'external'])
    assert.ok(Number(values('memory_usage_bytes')[`{type="${type}"}`]) > 0, type)
  const statements = families.get('database_query_duration_seconds')?.samples ?? []
  assert.ok(
    statements.some(
      ({ name, labels, value }) => name.endsWith('_count') && /statement="\w+"/.test(labels) && value > 0,
    ),
  )
  const pool = app.database.poolState() ?? assert.fail('no pool')
  const shown = ['max', 'waiting'].map((state) => values(`database_connections_${state}`)[''])
  assert.deepEqual(shown, [pool.max, 0])
  const buckets = families.get('http_request_duration_seconds')?.samples.map(({ labels }) => labels) ?? []
  for (const bound of ['0.5', '1'])
    assert.ok(
      buckets.some((labels) => labels.includes(`le="${bound}"`)),
      bound,
    )
  assert.doesNotMatch(scrape.text, new RegExp(String(check.uuid)), 'no address of a check')
})

test('requests are counted by method, route and status, also HEAD, failed ones, and those given up', async (t) => {
  const { app, call, url } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  await call('HEAD', `/ping/${uuid}`, undefined, {})
  await call('GET', '/api/v3/checks/', undefined, {})
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`POST /ping/${uuid} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`)
  socket.once('data', () => socket.resetAndDestroy())
  app.lifecycle.drain()
  await call('GET', '/health/ready', undefined, {})
  const counted = await eventually('the one that was given up', async () => {
    const { text } = await call('GET', '/metrics', undefined, {})
    const lines = [
      ...text.matchAll(/^http_requests_total\{method="(\w+)",route="([^"]+)",status_code="(\w+)"\} (\d+)$/gm),
    ]
    return lines.some(([, , , status]) => status === 'aborted') && lines.map((line) => line.slice(1).join(' ')).sort()
  })
  assert.deepEqual(counted, [
    'GET /api/v3/checks/ 401 1',
    'GET /health/ready 503 1',
    'HEAD /ping/:id 200 1',
    'POST /api/v3/checks/ 201 1',
    'POST /ping/:id aborted 1',
  ])
})

test('counters of alerts begin at zero, because the first increase of a missing counter is not seen', async (t) => {
  const { app, call } = await build(t)
  app.circuitBreakers.get('webhook:0123456789ab', 'webhook')
  const { text } = await call('GET', '/metrics', undefined, {})
  for (const series of [
    ...['success', 'start', 'fail', 'log'].map(
      (kind) => `heartbeats_received_total{kind="${kind}",outcome="refused",tenant=""}`,
    ),
    ...failureReasons.map((reason) => `db_connection_failures_total{reason="${reason}"}`),
    'circuit_breaker_transitions_total{name="database",from="closed",to="open"}',
    'circuit_breaker_transitions_total{name="webhook",from="closed",to="open"}',
  ])
    assert.ok(text.includes(`\n${series} 0\n`), series)
})

test('METRICS_PORT serves metrics and probes, with the same token, and nothing else', async (t) => {
  const token = 'scraper-token'
  const previous = 'the-one-before'
  const env = { METRICS_PORT: '0', METRICS_TOKEN: token, METRICS_TOKEN_PREVIOUS: previous }
  const service = await startService(t, { env })
  const { port } = await service.event('metrics.listening')
  const at = async (path: string, headers = {}) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status
  assert.equal(await at('/metrics'), 401)
  for (const accepted of [token, previous])
    assert.equal(await at('/metrics', { authorization: `Bearer ${accepted}` }), 200)
  assert.equal(await at('/metrics', { authorization: `Bearer ${token}x` }), 401)
  assert.equal(await at('/health/ready'), 200)
  assert.equal(await at('/health/live'), 200)
  for (const path of ['/api/v3/checks/', '/admin/shutdown', '/ping/x', '/health/../api/v3/checks/']) {
    assert.equal(await at(path), 404, path)
  }
  assert.equal(await service.stop(), 0)
})

test('a METRICS_PORT in use stops the start with one line that names it', async (t) => {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  t.after(() => squatter.close())
  const { port } = squatter.address() as AddressInfo
  const service = await spawnService(t, { METRICS_PORT: String(port) })
  assert.equal(await service.exited, 1)
  assert.match(service.output(), new RegExp(`port ${port} on 127.0.0.1 is taken: set METRICS_PORT to another one`))
})
