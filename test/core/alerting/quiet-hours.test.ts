import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAffected, openUntil } from '../../../src/core/alerting/maintenance.ts'
import { quietUntil } from '../../../src/core/alerting/quiet-hours.ts'

const at = (text: string) => Date.parse(text)

test('quiet hours follow the clock of their zone, across midnight and clock changes', () => {
  const night = { from: '22:00', to: '07:00', tz: 'Europe/Berlin' }
  const table: [string, string | null][] = [
    ['2026-01-10T20:59:59Z', null],
    ['2026-01-10T21:00:00Z', '2026-01-11T06:00:00Z'],
    ['2026-01-11T05:59:59Z', '2026-01-11T06:00:00Z'],
    ['2026-01-11T06:00:00Z', null],
    // The night in which the clocks go forward is an hour shorter, and that in which they go back an hour longer.
    ['2026-03-28T22:00:00Z', '2026-03-29T05:00:00Z'],
    ['2026-10-24T21:00:00Z', '2026-10-25T06:00:00Z'],
  ]
  for (const [now, end] of table) assert.equal(quietUntil(night, at(now)), end && at(end), now)
  const noon = { from: '12:00', to: '13:00', tz: 'UTC' }
  assert.equal(quietUntil(noon, at('2026-01-10T12:30:00Z')), at('2026-01-10T13:00:00Z'))
  assert.equal(quietUntil(noon, at('2026-01-10T13:00:00Z')), null)
})

test('a maintenance window is open once, or for a while after each match of its expression', () => {
  const once = { kind: 'once', from: at('2026-01-10T10:00:00Z'), to: at('2026-01-10T11:00:00Z') } as const
  assert.equal(openUntil(once, once.from - 1), null)
  assert.equal(openUntil(once, once.from), once.to)
  assert.equal(openUntil(once, once.to), null)
  const sundays = { kind: 'cron', cron: '0 3 * * SUN', durationS: 7200, tz: 'America/New_York' } as const
  assert.equal(openUntil(sundays, at('2026-01-11T08:00:00Z')), at('2026-01-11T10:00:00Z'))
  assert.equal(openUntil(sundays, at('2026-01-11T10:00:00Z')), null)
  assert.equal(openUntil(sundays, at('2026-01-11T07:59:59Z')), null)
})

test('a maintenance window applies to all checks, or to those it names by id or tag', () => {
  const check = { id: 'a', tags: ['prod', 'db'] }
  assert.equal(isAffected({ checks: null, tags: null }, check), true)
  assert.equal(isAffected({ checks: ['a'], tags: null }, check), true)
  assert.equal(isAffected({ checks: ['b'], tags: ['db'] }, check), true)
  assert.equal(isAffected({ checks: ['b'], tags: ['web'] }, check), false)
})
