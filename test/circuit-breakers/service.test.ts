import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSettingsOf } from '../../src/circuit-breakers/plugin.ts'
import { type BreakerChange, BreakerOpenError, createCircuitBreakers } from '../../src/circuit-breakers/service.ts'
import { loadConfig } from '../../src/config/load.ts'
import { isDatabaseAway } from '../../src/kit/availability.ts'

const settings = { failureThreshold: 5, recoveryMs: 60_000, successThreshold: 3, requestTimeoutMs: 30_000 }

function registry(options: { breakersMax?: number } = {}) {
  const clock = { now: 5000 }
  const changes: BreakerChange[] = []
  const counts: string[] = []
  const breakers = createCircuitBreakers({
    settingsOf: () => settings,
    monotonic: () => clock.now,
    wall: () => clock.now + Date.UTC(2026, 0, 1),
    onChange: (change) => changes.push(change),
    count: (kind, outcome) => counts.push(`${kind} ${outcome}`),
    ...options,
  })
  const fail = (name: string, times = 5) => {
    for (let n = 0; n < times; n++) breakers.get(name, 'webhook').begin()?.fail('http_500')
  }
  return { clock, changes, counts, breakers, fail }
}

const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' })

suite('a breaker of the registry', () => {
  test('an open breaker refuses calls with an error that counts as an unavailable database', async () => {
    const { breakers, counts } = registry()
    const breaker = breakers.get('database', 'database')
    let calls = 0
    const work = async () => {
      calls++
      throw refused
    }
    for (let n = 0; n < 5; n++) await assert.rejects(breaker.run(work, isDatabaseAway), refused)
    const error: unknown = await breaker.run(work, isDatabaseAway).catch((caught: unknown) => caught)
    assert.ok(error instanceof BreakerOpenError)
    assert.deepEqual([error.code, error.retryAfterS, error.breaker], ['unavailable', 1, 'database'])
    assert.ok(isDatabaseAway(error))
    assert.equal(calls, 5)
    assert.deepEqual(counts, [...Array(5).fill('database failure'), 'database rejected'])
  })

  test('an error that is an answer counts as a success', async () => {
    const { breakers } = registry()
    const breaker = breakers.get('database', 'database')
    const duplicate = Object.assign(new Error('duplicate key'), { code: '23505' })
    for (let n = 0; n < 4; n++) breaker.begin()?.fail('timeout')
    await assert.rejects(
      breaker.run(() => Promise.reject(duplicate), isDatabaseAway),
      duplicate,
    )
    for (let n = 0; n < 4; n++) breaker.begin()?.fail('timeout')
    assert.equal(breaker.phase(), 'closed')
  })

  test('only the first report of a call counts', () => {
    const { breakers, counts } = registry()
    const call = breakers.get('a', 'webhook').begin()
    call?.succeed()
    call?.fail('timeout')
    call?.release()
    assert.deepEqual(counts, ['webhook success'])
  })

  test('a breaker reports every change of its state with the old and the new state', () => {
    const { breakers, changes, clock, fail } = registry()
    fail('a')
    clock.now += 60_000
    breakers.get('a', 'webhook').begin()?.fail('timeout')
    clock.now += 60_000
    for (let n = 0; n < 3; n++) breakers.get('a', 'webhook').begin()?.succeed()
    assert.deepEqual(
      changes.map(({ from, to, reason }) => [from, to, reason]),
      [
        ['closed', 'open', 'http_500'],
        ['open', 'half_open', 'recovery time over'],
        ['half_open', 'open', 'timeout'],
        ['open', 'half_open', 'recovery time over'],
        ['half_open', 'closed', 'successes'],
      ],
    )
  })

  test('a forced call is admitted in any phase, and its result counts', () => {
    const { breakers, clock, fail } = registry()
    fail('a')
    const breaker = breakers.get('a', 'webhook')
    assert.equal(breaker.admits(), false)
    breaker.beginAnyway().fail('timeout')
    assert.equal(breaker.phase(), 'open')
    for (let n = 0; n < 3; n++) breaker.beginAnyway().succeed()
    assert.equal(breaker.phase(), 'closed')
    assert.equal(clock.now, 5000)
  })
})

suite('the registry', () => {
  test('the registry lists breakers with wall-clock times and without error texts', async () => {
    const { breakers, clock, fail } = registry()
    await assert.rejects(breakers.get('database', 'database').run(() => Promise.reject(refused), isDatabaseAway))
    fail('webhook:1')
    clock.now += 1000
    const iso = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString().replace('Z', '+00:00')
    const thresholds = settings
    const none = { successes: 0, openedAt: null, nextAttemptAt: null, thresholds }
    const opened = { successes: 0, openedAt: iso(5000), nextAttemptAt: iso(65_000), thresholds }
    assert.deepEqual(breakers.list(), [
      { name: 'database', kind: 'database', state: 'closed', failures: 1, lastError: 'refused', ...none },
      { name: 'webhook:1', kind: 'webhook', state: 'open', failures: 5, lastError: 'http_500', ...opened },
    ])
    clock.now += 59_000
    const { state, nextAttemptAt } = breakers.list()[1] ?? {}
    assert.deepEqual([state, nextAttemptAt], ['half_open', null])
  })

  test('a reset clears the failures of a breaker and wakes those who wait', () => {
    const { breakers, fail } = registry()
    const closed: string[] = []
    breakers.onClosed((name) => closed.push(name))
    fail('a')
    const done = breakers.reset('a')
    assert.deepEqual([done?.before.state, done?.before.failures], ['open', 5])
    assert.deepEqual([done?.after.state, done?.after.failures, done?.after.lastError], ['closed', 0, null])
    assert.deepEqual(closed, ['a'])
    fail('a', 4)
    assert.equal(breakers.get('a', 'webhook').phase(), 'closed')
    assert.equal(breakers.reset('b'), null)
  })

  test('the registry is bounded, and drops closed breakers first, the longest unused before others', () => {
    const { breakers, clock, fail } = registry({ breakersMax: 3 })
    const names = () => breakers.list().map(({ name }) => name)
    fail('open')
    clock.now++
    const call = breakers.get('busy', 'webhook').begin()
    clock.now++
    for (const name of ['idle', 'next', 'last']) {
      clock.now++
      breakers.get(name, 'webhook').begin()?.succeed()
    }
    assert.deepEqual(names(), ['busy', 'last', 'open'])
    call?.release()
  })

  test('the registry drops a breaker that nobody has used for a day', () => {
    const { breakers, clock, fail } = registry()
    fail('gone')
    const kept = breakers.get('kept', 'database')
    clock.now += 86_400_001
    kept.begin()?.succeed()
    assert.deepEqual(
      breakers.list().map(({ name }) => name),
      ['kept'],
    )
    clock.now += 86_400_001
    assert.deepEqual(breakers.list(), [])
    kept.begin()?.succeed()
    assert.equal(breakers.list().length, 1)
  })
})

suite('settings of a breaker', () => {
  const of = (overrides?: string) => {
    const env = { ...(overrides && { CIRCUIT_BREAKER_OVERRIDES: overrides }) }
    return createSettingsOf(loadConfig({ env }).breakers)
  }

  test('breakers have the common settings, but the database and Redis are tried again after a second', () => {
    assert.deepEqual(of()('webhook', 'webhook:1'), settings)
    assert.deepEqual(of()('database', 'database'), { ...settings, recoveryMs: 1000 })
    assert.deepEqual(of()('redis', 'redis'), { ...settings, recoveryMs: 1000, requestTimeoutMs: 500 })
    assert.deepEqual(of()('constructor', 'toString'), settings)
  })

  test('settings are overridden by kind, then by name, and other settings stay', () => {
    const settingsOf = of(
      '{"webhook": {"recoveryMs": 5, "failureThreshold": 2}, "webhook:1": {"recoveryMs": "7s"}, "database": {"failureThreshold": 9}}',
    )
    assert.deepEqual(settingsOf('webhook', 'webhook:1'), { ...settings, recoveryMs: 7000, failureThreshold: 2 })
    assert.deepEqual(settingsOf('webhook', 'webhook:2'), { ...settings, recoveryMs: 5, failureThreshold: 2 })
    assert.deepEqual(settingsOf('database', 'database'), { ...settings, recoveryMs: 1000, failureThreshold: 9 })
  })
})
