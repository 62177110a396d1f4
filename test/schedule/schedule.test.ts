import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { initialState, onTime, type Rules } from '../../src/core/status.ts'
import { detectKind, isValidExpression, nextDue, nthDue, type Schedule } from '../../src/schedule/schedule.ts'
import { cpuMs, heldMaxMs } from '../cpu.ts'

const noon = Date.UTC(2024, 0, 1, 12)
const schedule: fc.Arbitrary<Schedule> = fc.oneof(
  fc.record({ kind: fc.constant('simple' as const), timeoutS: fc.integer({ min: 1, max: 365 * 86_400 }) }),
  fc.record({
    kind: fc.constant('cron' as const),
    schedule: fc.constantFrom('* * * * *', '30 1,2 * * *', '0 9 * * mon-fri', '0 0 LW * *', '0 0 29 2 *'),
    tz: fc.constantFrom('UTC', 'Europe/Riga', 'America/New_York'),
  }),
  fc.record({
    kind: fc.constant('oncalendar' as const),
    schedule: fc.constantFrom('minutely', '01,02:30', 'Mon..Fri 9:00\nSun 10:00 UTC', '*-*~1 12:00', '2-29'),
    tz: fc.constantFrom('UTC', 'Europe/Riga', 'America/New_York'),
  }),
)
const instant = fc.integer({ min: Date.UTC(2000), max: Date.UTC(2040) })

const initialRules: Rules = {
  schedule: { kind: 'simple', timeoutS: 60 },
  graceS: 1,
  maxRuntimeS: null,
  minRuntimeS: null,
  failureThreshold: null,
  recoveryThreshold: null,
  earlyToleranceS: null,
  pausedUntil: null,
  trackRuns: false,
}

test('a simple schedule is due its timeout after the last heartbeat', () => {
  assert.equal(nextDue({ kind: 'simple', timeoutS: 1 }, noon), noon + 1000)
  assert.equal(nextDue({ kind: 'simple', timeoutS: 365 * 86_400 }, noon), noon + 365 * 86_400_000)
  assert.equal(nthDue({ kind: 'simple', timeoutS: 60 }, noon, 3), noon + 180_000)
})

test('a cron schedule is due at its moments in its time zone', () => {
  const nine: Schedule = { kind: 'cron', schedule: '0 9 * * mon-fri', tz: 'Europe/Riga' }
  assert.equal(nextDue(nine, noon), Date.UTC(2024, 0, 2, 7))
  assert.equal(nthDue(nine, noon, 5), Date.UTC(2024, 0, 8, 7))
})

test('a moment equal to the last heartbeat is past', () => {
  assert.equal(nextDue({ kind: 'cron', schedule: '0 12 * * *', tz: 'UTC' }, noon), noon + 86_400_000)
  assert.equal(nextDue({ kind: 'cron', schedule: '0 12 * * *', tz: 'UTC' }, noon - 1), noon)
})

test('a schedule of moments that its zone always skips has none', () => {
  const skipped: Schedule = { kind: 'cron', schedule: '* 2 8-14 3 */7', tz: 'America/New_York' }
  assert.equal(nextDue(skipped, noon), null)
  assert.equal(nthDue(skipped, noon, 3), null)
})

test('an invalid expression or zone throws, so that no check stays up for ever', () => {
  assert.throws(() => nextDue({ kind: 'cron', schedule: 'whenever', tz: 'UTC' }, noon), /not a valid cron expression/)
  assert.throws(() => nextDue({ kind: 'cron', schedule: '* * * * *', tz: 'foo/bar' }, noon), RangeError)
  assert.throws(() => nextDue({ kind: 'oncalendar', schedule: 'whenever', tz: 'UTC' }, noon), /not a valid OnCalendar/)
})

test('the k-th moment is k times the next one', () => {
  fc.assert(
    fc.property(schedule, instant, fc.integer({ min: 1, max: 20 }), (schedule, after, k) => {
      assert.equal(nthDue(schedule, after, 1), nextDue(schedule, after))
      const before = k === 1 ? after : nthDue(schedule, after, k - 1)
      assert.equal(nthDue(schedule, after, k), before === null ? null : nextDue(schedule, before))
    }),
  )
})

test('each of seven hundred missed moments costs as much as one', async () => {
  const rules = { ...initialRules, failureThreshold: 720 }
  for (const schedule of [
    { kind: 'cron', schedule: '* * * * *', tz: 'Europe/Berlin' },
    { kind: 'oncalendar', schedule: '*-*-* *:*:*', tz: 'Europe/Berlin' },
  ] as const) {
    let week = 0
    const took = await cpuMs(() => {
      const lastPing = noon - 7 * 86_400_000 * ++week
      const { state } = onTime({ ...rules, schedule }, { ...initialState, status: 'up', lastPing }, noon, [])
      assert.equal(state.status, 'down')
    })
    assert.ok(took < heldMaxMs / 2, `${schedule.schedule}: ${took} ms`)
  }
})

test('one line of exactly five fields is cron, and anything else is OnCalendar', () => {
  for (const text of ['* * * * *', ' 0\t0  1 1 *\n', 'a b c d e', '? H @ 15W L']) assert.equal(detectKind(text), 'cron')
  for (const text of ['', ' ', '* * * *', '* * * * * *', 'daily', 'Mon *-*-* 12:00', '*\n* * * *', '* * * * *\n*'])
    assert.equal(detectKind(text), 'oncalendar')
})

test('an expression must be valid in the syntax that its form implies', () => {
  for (const text of ['*/5 * * * mon-fri', 'daily', 'Mon *-*-* 12:00', 'Mon *-*-* 12:00 Europe/Riga', '12:00\n13:00'])
    assert.equal(isValidExpression(text), true, text)
  for (const text of ['', '61 * * * *', '0 0 31 2 *', '*\n* * * *', '* * * * * *', '1999-01-02', '@daily'])
    assert.equal(isValidExpression(text), false)
})

test('no text makes the validation throw or hang', () => {
  const characters = fc.constantFrom(...'*/-,#lwLW0123456789 \t\nmonJANſ٣²?@')
  fc.assert(fc.property(fc.string({ unit: characters, maxLength: 100 }), (text) => void isValidExpression(text)))
})
