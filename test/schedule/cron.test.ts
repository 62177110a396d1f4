import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cron, nextCronMatch, parseCron } from '../../src/schedule/cron.ts'

function utc(text: string): number {
  return Date.parse(`${text}Z`)
}

function parsed(expression: string): Cron {
  const cron = parseCron(expression)
  assert.ok(cron, expression)
  return cron
}

/** The moments after `from`, as `MM-DDTHH:MM` in UTC. */
function moments(expression: string, tz: string, from: string, count: number): string {
  const found: string[] = []
  for (let at: number | null = utc(from); found.length < count; ) {
    at = nextCronMatch(parsed(expression), at as number, tz)
    assert.ok(at !== null, expression)
    found.push(new Date(at).toISOString().slice(5, 16))
  }
  return found.join(' ')
}

test('every form of an expression has its documented meaning', () => {
  const cases: [string, string][] = [
    ['* * * * *', '01-01T00:01 01-01T00:02 01-01T00:03'],
    ['5 * * * *', '01-01T00:05 01-01T01:05 01-01T02:05'],
    ['007 00 * * *', '01-01T00:07 01-02T00:07 01-03T00:07'],
    ['7,5,5 * * * *', '01-01T00:05 01-01T00:07 01-01T01:05'],
    ['5-6 * * * *', '01-01T00:05 01-01T00:06 01-01T01:05'],
    ['5-5 * * * *', '01-01T00:05 01-01T01:05 01-01T02:05'],
    ['*/25 * * * *', '01-01T00:25 01-01T00:50 01-01T01:00'],
    ['*/61 * * * *', '01-01T01:00 01-01T02:00 01-01T03:00'],
    ['10-30/15 * * * *', '01-01T00:10 01-01T00:25 01-01T01:10'],
    ['40/15 * * * *', '01-01T00:40 01-01T00:55 01-01T01:40'],
    ['1,10-20/10,58/9 * * * *', '01-01T00:01 01-01T00:10 01-01T00:20'],
    ['0 */11 * * *', '01-01T11:00 01-01T22:00 01-02T00:00'],
    ['0 0 31 * *', '01-31T00:00 03-31T00:00 05-31T00:00'],
    ['0 0 1 jan,MAR,Jul *', '03-01T00:00 07-01T00:00 01-01T00:00'],
    ['0 0 1 feb-4/2 *', '02-01T00:00 04-01T00:00 02-01T00:00'],
    ['0 0 * * MON', '01-08T00:00 01-15T00:00 01-22T00:00'],
    ['0 0 * * sat,Sun', '01-06T00:00 01-07T00:00 01-13T00:00'],
    ['0 0 * * SUN-1', '01-07T00:00 01-08T00:00 01-14T00:00'],
    ['0 0 * * 0', '01-07T00:00 01-14T00:00 01-21T00:00'],
    ['0 0 * * 7', '01-07T00:00 01-14T00:00 01-21T00:00'],
    ['0 0 * * 6-7', '01-06T00:00 01-07T00:00 01-13T00:00'],
    ['0 0 * * 5/2', '01-05T00:00 01-07T00:00 01-12T00:00'],
    ['0 0 L * *', '01-31T00:00 02-29T00:00 03-31T00:00'],
    ['0 0 L,15 * *', '01-15T00:00 01-31T00:00 02-15T00:00'],
    ['0 0 l/2 * *', '01-31T00:00 02-29T00:00 03-31T00:00'],
    ['0 0 LW * *', '01-31T00:00 02-29T00:00 03-29T00:00'],
    ['0 0 lw 6,9 *', '06-28T00:00 09-30T00:00 06-30T00:00'],
    ['0 0 * * 5L', '01-26T00:00 02-23T00:00 03-29T00:00'],
    ['0 0 * * 7l', '01-28T00:00 02-25T00:00 03-31T00:00'],
    ['0 0 * * 5L,1#1', '01-26T00:00 02-05T00:00 02-23T00:00'],
    ['0 0 * * MON#2', '01-08T00:00 02-12T00:00 03-11T00:00'],
    ['0 0 * * 1#5', '01-29T00:00 04-29T00:00 07-29T00:00'],
    ['0 0 * * 7#1', '01-07T00:00 02-04T00:00 03-03T00:00'],
    ['0 0 29 2 *', '02-29T00:00 02-29T00:00 02-29T00:00'],
    ['  0\t0 1  1 *\n', '01-01T00:00 01-01T00:00 01-01T00:00'],
  ]
  for (const [expression, expected] of cases)
    assert.equal(moments(expression, 'UTC', '2024-01-01T00:00', 3), expected, expression)
})

test('a day must match both day fields if either begins with a star, else one of them', () => {
  const cases: [string, string][] = [
    ['0 0 13 * 5', '01-05T00:00 01-12T00:00 01-13T00:00'],
    ['0 0 * * 5', '01-05T00:00 01-12T00:00 01-19T00:00'],
    ['0 0 */2 * 5', '01-05T00:00 01-19T00:00 02-09T00:00'],
    ['0 0 13 * */5', '09-13T00:00 10-13T00:00 12-13T00:00'],
    ['0 0 *,13 * 5', '01-05T00:00 01-12T00:00 01-19T00:00'],
    ['0 0 13,* * 5', '01-02T00:00 01-03T00:00 01-04T00:00'],
    ['0 0 1-7 * */7', '01-07T00:00 02-04T00:00 03-03T00:00'],
    ['0 0 31 2 1', '02-05T00:00 02-12T00:00 02-19T00:00'],
  ]
  for (const [expression, expected] of cases)
    assert.equal(moments(expression, 'UTC', '2024-01-01T00:00', 3), expected, expression)
})

test('every text that is not an expression is refused', () => {
  const minutes = [
    '60',
    '-1',
    '+5',
    '1,',
    ',1',
    '1,,2',
    '*-5',
    '1-*',
    '1-2-3',
    '*/2/3',
    '5/',
    '/5',
    '*/-1',
    '*/1.5',
    '9-5',
  ]
  minutes.push(
    '*/0',
    '5/0',
    '1-5/0',
    '1_0',
    '0x5',
    '1e1',
    '٣',
    '²',
    'L',
    '1#1',
    '1-JAN',
    'MON',
    'H',
    'H/5',
    '?',
    '**',
    '~',
  )
  const days = ['0', '32', '?', '15W', 'W', 'WL', 'L-3', '1-L', 'L/0', 'LW/0', 'MON', '1#1', '5-1', '20/0']
  const months = ['0', '13', 'january', 'dec-jan', '11-2', '1L', 'L', 'MON', '?', 'jan#1']
  const weekdays = [
    '8',
    'monday',
    'FRI-SUN',
    'SAT-SUN',
    '6-0',
    '5-2',
    'L',
    'FRIL',
    '8L',
    '1#0',
    '1#6',
    '8#1',
    'xyz#1',
    '?',
  ]
  weekdays.push('1-3#2', '1#2/2', '5L/2', '5#2-3', '*#2', '#2', '1#', 'JAN', 'ſun')
  const refused = ['', ' ', '@daily', '@reboot', '* * * *', '* * * * * *', '0 * * * * ?', 'H H * * *', '* * * * * 2024']
  refused.push('0 0 30 2 *', '0 0 31 2,4,6,9,11 *', '0 0 31 2 */2', '0 0 31 4 *', '0 24 * * *', '0 5-1 * * *')
  for (const minute of minutes) refused.push(`${minute} * * * *`)
  for (const day of days) refused.push(`0 0 ${day} * *`)
  for (const month of months) refused.push(`0 0 * ${month} *`)
  for (const weekday of weekdays) refused.push(`0 0 * * ${weekday}`)
  for (const expression of refused) assert.equal(parseCron(expression), null, expression)
})

test('a leap day on a Sunday is found decades ahead, also across 2100', () => {
  const next = (from: string) => nextCronMatch(parsed('0 0 29 2 */7'), utc(from), 'UTC')
  assert.equal(next('2004-02-29T00:00'), utc('2032-02-29T00:00'))
  assert.equal(next('2088-02-29T00:00'), utc('2128-02-29T00:00'))
})

test('a time of day that the clocks skip matches once, at the end of the gap', () => {
  const cases: [string, string, string, string][] = [
    ['30 3 * * *', 'Europe/Riga', '2024-03-30T12:00', '03-31T01:00 04-01T00:30'],
    ['30 2 * * *', 'America/New_York', '2024-03-09T12:00', '03-10T07:00 03-11T06:30'],
    ['15,45 2 * * *', 'America/New_York', '2024-03-09T12:00', '03-10T07:00 03-11T06:15'],
    ['0,30 2,3 * * *', 'America/New_York', '2024-03-10T04:00', '03-10T07:00 03-10T07:30'],
    ['59 1,2 * * *', 'America/New_York', '2024-03-10T04:00', '03-10T06:59 03-10T07:00'],
    ['10 1-4/1 * * *', 'America/New_York', '2024-03-10T06:30', '03-10T07:00 03-10T07:10'],
    ['30 2 10 * *', 'America/New_York', '2024-03-09T12:00', '03-10T07:00 04-10T06:30'],
    ['30 1 * * *', 'Europe/Dublin', '2024-03-30T12:00', '03-31T01:00 04-01T00:30'],
    ['15 2 * * *', 'Australia/Lord_Howe', '2024-10-05T10:00', '10-05T15:30 10-06T15:15'],
    ['0 0 * * *', 'America/Havana', '2024-03-09T12:00', '03-10T05:00 03-11T04:00'],
    ['30 0 * * sun', 'America/Havana', '2024-03-09T12:00', '03-10T05:00 03-17T04:30'],
    ['0 0 * * *', 'Asia/Beirut', '2024-03-30T12:00', '03-30T22:00 03-31T21:00'],
    ['30 12 30 12 *', 'Pacific/Apia', '2011-12-28T12:00', '12-30T10:00 12-29T22:30'],
  ]
  for (const [expression, tz, from, expected] of cases)
    assert.equal(moments(expression, tz, from, 2), expected, `${expression} ${tz}`)
})

test('a time of day that comes twice matches only the first time', () => {
  const cases: [string, string, string, string][] = [
    ['30 3 * * *', 'Europe/Riga', '2024-10-26T12:00', '10-27T00:30 10-28T01:30'],
    ['30 1 * * *', 'America/New_York', '2024-11-03T05:00', '11-03T05:30 11-04T06:30'],
    ['30 1 * * *', 'America/New_York', '2024-11-03T05:45', '11-04T06:30 11-05T06:30'],
    ['30 1 * * *', 'America/New_York', '2024-11-03T06:10', '11-04T06:30 11-05T06:30'],
    ['0 0-3 * * *', 'America/New_York', '2024-11-03T04:30', '11-03T05:00 11-03T07:00'],
    ['30 1 * * *', 'Europe/Dublin', '2024-10-26T12:00', '10-27T00:30 10-28T01:30'],
    ['45 1,2 * * *', 'Australia/Lord_Howe', '2024-04-06T10:00', '04-06T14:45 04-06T16:15'],
    ['30 0 * * *', 'America/Havana', '2024-11-02T12:00', '11-03T04:30 11-04T05:30'],
    ['45 23 * * *', 'Asia/Beirut', '2024-10-26T12:00', '10-26T20:45 10-27T21:45'],
  ]
  for (const [expression, tz, from, expected] of cases)
    assert.equal(moments(expression, tz, from, 2), expected, `${expression} ${tz} ${from}`)
})

test('an interval follows elapsed time through both clock changes', () => {
  const cases: [string, string, string, string][] = [
    ['*/30 * * * *', 'America/New_York', '2024-03-10T06:15', '03-10T06:30 03-10T07:00 03-10T07:30'],
    ['*/30 2 * * *', 'America/New_York', '2024-03-10T04:00', '03-11T06:00 03-11T06:30 03-12T06:00'],
    ['30 */2 * * *', 'America/New_York', '2024-03-10T05:00', '03-10T05:30 03-10T08:30 03-10T10:30'],
    ['15 *,2 * * *', 'America/New_York', '2024-03-10T06:00', '03-10T06:15 03-10T07:15 03-10T08:15'],
    ['30 * * * *', 'America/New_York', '2024-11-03T05:00', '11-03T05:30 11-03T06:30 11-03T07:30'],
    ['*/30 1 * * *', 'America/New_York', '2024-11-03T05:10', '11-03T05:30 11-03T06:00 11-03T06:30'],
    ['0 */3 * * *', 'America/New_York', '2024-11-03T03:30', '11-03T04:00 11-03T08:00 11-03T11:00'],
    ['52 * * * *', 'Australia/Lord_Howe', '2024-04-06T14:00', '04-06T14:52 04-06T15:22 04-06T16:22'],
    ['0 */4 * * *', 'Asia/Beirut', '2024-03-30T19:00', '03-31T01:00 03-31T05:00 03-31T09:00'],
    ['*/30 * * * *', 'Pacific/Apia', '2011-12-30T09:10', '12-30T09:30 12-30T10:00 12-30T10:30'],
  ]
  for (const [expression, tz, from, expected] of cases)
    assert.equal(moments(expression, tz, from, 3), expected, `${expression} ${tz}`)
})
