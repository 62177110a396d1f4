import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AlertRule, type Measurements, rules } from '../../src/service-alerts/rules.ts'

const targets = { availability: 0.995, latencyP95Ms: 500, maxStalenessMs: 60_000 }
const fine = { requests: 1000, errorRate: 0, availability: 1, p95: 0.01 }
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
}
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
  ['as fast as the target', 'latency', { fiveMinutes: { ...fine, p95: 0.5 } }, undefined],
  ['below the SLA', 'availability', { hour: failing(0.01) }, 'WARNING'],
  ['far below the SLA', 'availability', { hour: failing(0.03) }, 'CRITICAL'],
  ['a destination', 'breaker', { openBreakers: ['webhook'] }, 'INFO'],
  ['the database', 'breaker', { openBreakers: ['database', 'webhook'] }, 'CRITICAL'],
  ['old heartbeats', 'staleness', { stalenessMs: 60_001 }, 'WARNING'],
  ['very old heartbeats', 'staleness', { stalenessMs: 300_001 }, 'CRITICAL'],
  ['a project that nobody can be told of', 'channels', { unreachableProjects: 1 }, 'WARNING'],
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
