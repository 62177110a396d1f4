// Schedules as they are written over the API (https://healthchecks.io/docs/api/).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '../helper.ts'

test('the form of a schedule decides between cron and OnCalendar, and the schedule when a ping is due', async (t) => {
  const { call } = await build(t)
  const cases: [schedule: string, tz: string, due: RegExp][] = [
    ['* * * * *', 'UTC', /:00\+00:00$/],
    ['*-*-* *:*:30', 'UTC', /:30\+00:00$/],
    ['daily', 'Asia/Kolkata', /T18:30:00\+00:00$/],
    ['Mon..Sun 12:00 Asia/Kolkata', 'UTC', /T06:30:00\+00:00$/],
    ['2199-01-01\n2198-01-01 06:00', 'UTC', /^2198-01-01T06:00:00\+00:00$/],
  ]
  for (const [schedule, tz, due] of cases) {
    const made = await call('POST', '/api/v3/checks/', { schedule, tz })
    assert.equal(made.status, 201, made.text)
    const check = made.json()
    assert.deepEqual([check.schedule, check.tz, check.timeout, check.next_ping], [schedule, tz, undefined, null])
    await call('GET', `/ping/${check.uuid}`, undefined, {})
    const { status, next_ping } = (await call('GET', `/api/v3/checks/${check.uuid}`)).json()
    assert.equal(status, 'up')
    assert.match(String(next_ping), due, schedule)
  }
})

test('a schedule without further moments leaves its check up, with no next ping', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { schedule: '2020-01-01' })).json()
  await call('GET', `/ping/${uuid}`, undefined, {})
  const { status, next_ping } = (await call('GET', `/api/v3/checks/${uuid}`)).json()
  assert.deepEqual([status, next_ping], ['up', null])
})

test('an invalid schedule or zone is refused, and an old zone is stored by its current name', async (t) => {
  const { call } = await build(t)
  const text = 'json validation error: schedule is not a valid cron or OnCalendar expression'
  for (const schedule of [
    '',
    'x',
    '* * * * * *',
    '@daily',
    '0 0 31 2 *',
    '1999-01-02',
    '*-02-30',
    'Mon 25:00',
    '12:00\n\n13:00',
  ])
    assert.deepEqual((await call('POST', '/api/v3/checks/', { schedule })).json(), { error: text }, schedule)
  const long = { schedule: `12:00${'\n12:00'.repeat(16)}` }
  assert.equal(
    (await call('POST', '/api/v3/checks/', long)).json().error,
    'json validation error: schedule is too long',
  )
  for (const tz of ['', 'x', 'europe/riga', 'Factory', `Europe/${'a'.repeat(40)}`])
    assert.equal(
      (await call('POST', '/api/v3/checks/', { tz })).json().error,
      'json validation error: tz is not a valid timezone',
      tz,
    )
  for (const [tz, current] of [
    ['Europe/Kiev', 'Europe/Kyiv'],
    ['US/Eastern', 'America/New_York'],
    ['Europe/Riga', 'Europe/Riga'],
  ]) {
    const check = (await call('POST', '/api/v3/checks/', { tz, schedule: 'daily' })).json()
    assert.equal(check.tz, current)
    const changed = (await call('POST', `/api/v3/checks/${check.uuid}`, { tz: 'GB' })).json()
    assert.equal(changed.tz, 'Europe/London')
  }
})
