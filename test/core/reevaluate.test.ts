// How long re-evaluation blocks the event loop, and that cached moments of a schedule equal computed ones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reevaluateInSteps } from '../../src/core/reevaluate.ts'
import { initialState, type Rules } from '../../src/core/status.ts'
import { nextCronMatch, parseCron } from '../../src/schedule/cron.ts'
import { nextCalendarMatch, parseCalendar } from '../../src/schedule/oncalendar.ts'
import { nextDue, type Schedule } from '../../src/schedule/schedule.ts'

const now = Date.UTC(2025, 5, 1)
const stepMeanMaxMs = 25
const heartbeats = 10_000

const schedules: [string, Schedule, boolean][] = [
  ['a simple schedule', { kind: 'simple', timeoutS: 60 }, false],
  ['500 open runs', { kind: 'simple', timeoutS: 60 }, true],
  ['a rare cron schedule', { kind: 'cron', schedule: '0 0 29 2 1', tz: 'UTC' }, false],
  [
    'fourteen rare lines of a calendar',
    { kind: 'oncalendar', schedule: Array(14).fill('*-2-29').join('\n'), tz: 'Europe/Berlin' },
    false,
  ],
]

for (const [name, schedule, trackRuns] of schedules) {
  test(`re-evaluating ${heartbeats} heartbeats under ${name} takes short steps`, () => {
    const rules: Rules = {
      ...{ schedule, graceS: 60, trackRuns, maxRuntimeS: 86_400, minRuntimeS: null, pausedUntil: null },
      ...{ failureThreshold: null, recoveryThreshold: null, earlyToleranceS: 3600 },
    }
    const history = Array.from({ length: heartbeats }, (_, i) => ({
      id: String(i),
      at: now - (heartbeats - i) * 60_000,
      kind: trackRuns ? ('start' as const) : ('success' as const),
      rid: trackRuns ? String(i) : null,
      exitStatus: null,
    }))
    const from = history[0]?.at ?? 0
    const steps = reevaluateInSteps(rules, initialState, { heartbeats: history, flips: [] }, from, now, [])
    const lengths: number[] = []
    for (let done: boolean | undefined = false; !done; ) {
      const before = process.cpuUsage()
      done = steps.next().done
      const { user, system } = process.cpuUsage(before)
      lengths.push((user + system) / 1000)
    }
    assert.ok(lengths.length >= heartbeats / 100, `${lengths.length} steps`)
    // Measures all steps together, because a garbage collection may fall into one.
    const mean = lengths.reduce((sum, ms) => sum + ms, 0) / lengths.length
    assert.ok(mean < stepMeanMaxMs, `${mean} ms a step`)
  })
}

test('cached moments of a schedule equal computed ones, in any order of queries', () => {
  const expressions = ['30 2 * * *', '*/15 * * * *', '0 * * * *', '*-*-* 02:30:00', 'hourly', '*:0/15', 'minutely']
  const nights = [Date.UTC(2025, 9, 25, 20), Date.UTC(2025, 2, 29, 20), Date.UTC(2025, 10, 1, 20)]
  let seed = 1
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  for (const tz of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC'])
    for (const schedule of expressions)
      for (let i = 0; i < 300; i++) {
        const after = (nights[i % nights.length] ?? 0) + Math.floor(random() * 12 * 3_600_000)
        const cron = schedule.split(' ').length === 5 ? parseCron(schedule) : null
        const calendar = cron === null ? parseCalendar(schedule) : null
        const reckoned = cron ? nextCronMatch(cron, after, tz) : calendar && nextCalendarMatch(calendar, after, tz)
        const kind = cron ? 'cron' : 'oncalendar'
        assert.equal(nextDue({ kind, schedule, tz }, after), reckoned, `${schedule} ${tz} after ${after}`)
      }
})
