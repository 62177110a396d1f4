import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, call, eventually } from '../helper.ts'

test('circuit_breaker_state is always 0 closed, 1 open, 2 half-open, because alerts compare with it', async (t) => {
  const { app, url } = await build(t)
  const fail = (kind: string, id = 1) => {
    const breaker = app.circuitBreakers.get(`${kind}:${id}`, kind)
    while (breaker.phase() === 'closed') breaker.begin()?.fail('timeout')
    return breaker
  }
  app.circuitBreakers.get('email:1', 'email').begin()?.succeed()
  fail('webhook')
  fail('slack').beginAnyway().succeed()
  const shown = async () => {
    const { text } = await call(url, 'GET', '/metrics', undefined, {})
    const lines = [...text.matchAll(/^circuit_breaker_state\{name="(\w+)"\} (\d+)$/gm)]
    return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]))
  }
  assert.deepEqual(await shown(), { database: 0, email: 0, webhook: 1, slack: 2 })

  // Of several the worst.
  for (const kind of ['webhook', 'slack', 'email']) app.circuitBreakers.get(`${kind}:2`, kind).begin()?.succeed()
  fail('email', 3).beginAnyway().succeed()
  fail('slack', 3)
  assert.deepEqual(await shown(), { database: 0, email: 2, webhook: 1, slack: 1 })
})

test('a change of state is logged, the opening as a warning', async (t) => {
  const { app } = await build(t)
  const warn = t.mock.method(app.log, 'warn')
  const info = t.mock.method(app.log, 'info')
  const breaker = app.circuitBreakers.get('webhook:0123456789ab', 'webhook')
  for (let n = 0; n < 5; n++) breaker.begin()?.fail('timeout')
  breaker.beginAnyway().succeed()
  const told = (mocked: typeof warn) =>
    mocked.mock.calls
      .map(({ arguments: [line] }) => line as object)
      .filter((line) => 'event' in line && line.event === 'breaker.state_changed')
  const line = { event: 'breaker.state_changed', breaker: 'webhook:0123456789ab', kind: 'webhook' }
  assert.deepEqual(told(warn), [{ ...line, from: 'closed', to: 'open', reason: 'timeout' }])
  assert.deepEqual(told(info), [{ ...line, from: 'open', to: 'half_open', reason: 'tried by hand' }])
})

test('an outage logs the opening, the first trial and the end, and the other trials only at debug', async (t) => {
  const { app } = await build(t, { CIRCUIT_BREAKER_RECOVERY_TIMEOUT_MS: '1', CIRCUIT_BREAKER_SUCCESS_THRESHOLD: '1' })
  const told: string[] = []
  for (const level of ['debug', 'info', 'warn'] as const) {
    t.mock.method(app.log, level, (line: { event?: string; breaker?: string; to?: string }) => {
      if (line.event === 'breaker.state_changed' && line.breaker === 'webhook:1') told.push(`${level} ${line.to}`)
    })
  }
  const breaker = app.circuitBreakers.get('webhook:1', 'webhook')
  const trial = async () => eventually('a trial', () => breaker.begin())
  const outage = async () => {
    for (let n = 0; n < 5; n++) breaker.begin()?.fail('timeout')
    for (let n = 0; n < 3; n++) (await trial()).fail('timeout')
    ;(await trial()).succeed()
  }
  const expected = [
    ...['warn open', 'info half_open', 'warn open'],
    ...['debug half_open', 'debug open', 'debug half_open', 'debug open'],
    ...['debug half_open', 'info closed'],
  ]
  await outage()
  assert.deepEqual(told, expected)
  await outage()
  assert.deepEqual(told, [...expected, ...expected], 'the next outage is logged again')
})

test('the metrics contain the breakers, those of destinations under their kind only', async (t) => {
  const { app, url } = await build(t)
  const breaker = app.circuitBreakers.get('webhook:0123456789ab', 'webhook')
  breaker.begin()?.succeed()
  for (let n = 0; n < 5; n++) breaker.begin()?.fail('timeout')
  assert.equal(breaker.begin(), null)
  const { text } = await call(url, 'GET', '/metrics', undefined, {})
  for (const line of [
    'circuit_breaker_state{name="database"} 0',
    'circuit_breaker_state{name="webhook"} 1',
    'circuit_breaker_transitions_total{name="webhook",from="closed",to="open"} 1',
    'circuit_breaker_rejections_total{name="webhook"} 1',
    'circuit_breaker_requests_total{name="webhook",outcome="success"} 1',
    'circuit_breaker_requests_total{name="webhook",outcome="failure"} 5',
  ])
    assert.ok(text.includes(`${line}\n`), line)
  assert.match(text, /circuit_breaker_requests_total\{name="database",outcome="success"\} \d/)
  assert.doesNotMatch(text, /0123456789ab/)
})
