import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AlertRule, type Measurements, rules } from '../../src/service-alerts/rules.ts'

const targets = {
  availability: 0.995,
  latencyP95Ms: 500,
  maxStalenessMs: 60_000,
  memoryWarnPercent: 80,
  memoryDegradedPercent: 90,
  heapLimitBytes: 1000,
  cpuLimitCores: 0.5,
}
const fine = { requests: 1000, errorRate: 0, availability: 1, p95: 0.01, p99: 0.02 }
const steady = { cpuShare: 0.1, heapUsedBytes: 100, databaseFailures: 0, databaseFailureShare: 0, waiting: 0 }
const well: Measurements = {
  minute: fine,
  twoMinutes: fine,
  fiveMinutes: fine,
  hour: fine,
  openBreakers: [],
  stalenessMs: 0,
  unreachableProjects: 0,
  health: 'healthy',
  unhealthyChecks: [],
  memoryPercent: 20,
  trend: steady,
}
const trend = (change: Partial<Measurements['trend']>) => ({ trend: { ...steady, ...change } })
const failing = (errorRate: number, requests = 100) => ({ ...fine, requests, errorRate, availability: 1 - errorRate })

const table: [what: string, rule: AlertRule, change: Partial<Measurements>, level: string | undefined][] = [
  ['nothing', 'error_rate', {}, undefined],
  ['5 % of errors', 'error_rate', { minute: failing(0.05) }, undefined],
  ['6 % for a minute', 'error_rate', { minute: failing(0.06) }, 'WARNING'],
  ['11 % for a minute alone', 'error_rate', { minute: failing(0.11) }, 'WARNING'],
  ['11 % for two minutes', 'error_rate', { twoMinutes: failing(0.11) }, 'CRITICAL'],
  ['51 % for a minute', 'error_rate', { minute: failing(0.51) }, 'CRITICAL'],
  ['all of too few requests', 'error_rate', { minute: failing(1, 19), twoMinutes: failing(1, 19) }, undefined],
  ['slow', 'latency', { fiveMinutes: { ...fine, p95: 0.6 } }, 'WARNING'],
  ['very slow', 'latency', { fiveMinutes: { ...fine, p95: 2.1 } }, 'CRITICAL'],
  ['a p95 of a second', 'latency', { fiveMinutes: { ...fine, p95: 1 } }, 'WARNING'],
  ['a p95 of more than a second', 'latency', { fiveMinutes: { ...fine, p95: 1.01 } }, 'CRITICAL'],
  ['a p99 above half a second', 'latency', { twoMinutes: { ...fine, p99: 0.51 } }, 'WARNING'],
  ['as fast as the target', 'latency', { fiveMinutes: { ...fine, p95: 0.5 } }, undefined],
  ['below the SLA', 'availability', { hour: failing(0.01) }, 'WARNING'],
  ['far below the SLA', 'availability', { hour: failing(0.03) }, 'CRITICAL'],
  ['a destination', 'breaker', { openBreakers: ['webhook'] }, 'INFO'],
  ['the database', 'breaker', { openBreakers: ['database', 'webhook'] }, 'CRITICAL'],
  ['old heartbeats', 'staleness', { stalenessMs: 60_001 }, 'WARNING'],
  ['very old heartbeats', 'staleness', { stalenessMs: 300_001 }, 'CRITICAL'],
  ['a project that nobody can be told of', 'channels', { unreachableProjects: 1 }, 'WARNING'],
  ['79.9 % of the memory', 'memory', { memoryPercent: 79.9 }, undefined],
  ['80 % of the memory', 'memory', { memoryPercent: 80 }, 'WARNING'],
  ['90 % of the memory', 'memory', { memoryPercent: 90 }, 'WARNING'],
  ['more than 90 % of the memory', 'memory', { memoryPercent: 90.1 }, 'CRITICAL'],
  ['memory that cannot be read', 'memory', { memoryPercent: null, ...trend({ heapUsedBytes: null }) }, undefined],
  ['80 % of the heap', 'memory', trend({ heapUsedBytes: 800 }), undefined],
  ['81 % of the heap', 'memory', trend({ heapUsedBytes: 810 }), 'WARNING'],
  ['80 % of the processor', 'cpu', trend({ cpuShare: 0.4 }), undefined],
  ['82 % of the processor', 'cpu', trend({ cpuShare: 0.41 }), 'WARNING'],
  ['a start', 'cpu', trend({ cpuShare: null }), undefined],
  ['one failed connection', 'connections', trend({ databaseFailures: 1, databaseFailureShare: 0.01 }), 'WARNING'],
  ['10 % of failed connections', 'connections', trend({ databaseFailures: 9, databaseFailureShare: 0.1 }), 'WARNING'],
  ['11 % of failed connections', 'connections', trend({ databaseFailureShare: 0.11 }), 'CRITICAL'],
  ['callers that wait', 'connections', trend({ waiting: 3 }), 'WARNING'],
  ['an open breaker', 'connections', { openBreakers: ['database'], ...trend({ databaseFailureShare: 1 }) }, undefined],
  ['memory, which has its own rule', 'health', { health: 'degraded', unhealthyChecks: ['memory'] }, undefined],
  ['a full disk', 'health', { health: 'degraded', unhealthyChecks: ['disk'] }, 'WARNING'],
  ['degraded', 'health', { health: 'degraded' }, 'WARNING'],
  ['a destination away', 'health', { health: 'degraded', unhealthyChecks: ['circuit_breakers'] }, undefined],
  ['more than that', 'health', { health: 'degraded', unhealthyChecks: ['disk', 'circuit_breakers'] }, 'WARNING'],
  ['unhealthy', 'health', { health: 'unhealthy' }, 'CRITICAL'],
]
for (const [what, rule, change, level] of table)
  test(`${rule}: ${what} is ${level ?? 'well'}`, () => {
    assert.equal(rules[rule]({ ...well, ...change }, targets)?.level, level)
  })

test('the health alert names the checks that are not healthy', () => {
  const told = rules.health({ ...well, health: 'unhealthy', unhealthyChecks: ['database', 'circuit_breakers', 'disk'] })
  assert.equal(told?.text, '/health says unhealthy: database, disk')
})
