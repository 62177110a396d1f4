import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createClearDelay } from '../../src/service-alerts/clear-delay.ts'
import { type AlertLevel, type Evaluation, rules } from '../../src/service-alerts/rules.ts'

const calmMs = 60_000
const lookMs = 15_000
const evaluated = (level: AlertLevel | null): Evaluation => level && { level, text: level }

/** What is reported of one rule with these evaluations. */
function reportedOf(rule: string, levels: readonly (AlertLevel | null)[]): string[] {
  const clock = { now: 0 }
  const reportable = createClearDelay({ calmMs, now: () => clock.now })
  const reported: string[] = []
  let before: AlertLevel | undefined
  for (const level of levels) {
    const evaluation = reportable(rule, before, evaluated(level))
    if (evaluation !== undefined && evaluation?.level !== before) {
      before = evaluation?.level
      reported.push(`${clock.now / 1000} ${before ?? 'RESOLVED'}`)
    }
    clock.now += lookMs
  }
  return reported
}

suite('a service alert', () => {
  test('a service alert is reported at once when it gets worse, and after a while when it gets better', () => {
    assert.deepEqual(reportedOf('latency', ['INFO', 'WARNING', 'CRITICAL', null, null, null, null, null, null]), [
      '0 INFO',
      '15 WARNING',
      '30 CRITICAL',
      '105 RESOLVED',
    ])
  })

  test('a problem that comes and goes is reported once, whatever the rule', () => {
    for (const rule of Object.keys(rules)) {
      const flapping = Array.from({ length: 200 }, (_, n): AlertLevel | null => (n % 4 === 3 ? 'CRITICAL' : null))
      assert.deepEqual(reportedOf(rule, ['CRITICAL', ...flapping]), ['0 CRITICAL'], rule)
    }
  })

  test('a partial improvement is reported with the worst level since then', () => {
    const levels: (AlertLevel | null)[] = [
      'CRITICAL',
      null,
      'WARNING',
      null,
      null,
      'INFO',
      null,
      null,
      null,
      null,
      null,
    ]
    assert.deepEqual(reportedOf('health', levels), ['0 CRITICAL', '75 WARNING', '150 RESOLVED'])
  })
})
