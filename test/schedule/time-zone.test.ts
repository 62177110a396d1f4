import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { renderLegacyZones } from '../../scripts/write-legacy-zones.ts'
import { legacyZoneNames } from '../../src/schedule/legacy-zone-names.ts'
import { currentZone, readZone } from '../../src/schedule/legacy-zones.ts'
import { firstInstant, isTimeZone, latestWallTime, spanAt } from '../../src/schedule/time-zone.ts'

const wallTime = (tz: string, instant: number) => instant + spanAt(tz, instant).offset

const HOUR_MS = 3_600_000
const zones = ['UTC', 'Europe/Riga', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Pacific/Apia']
const zone = fc.constantFrom(...zones)
const instant = fc.integer({ min: Date.UTC(2000), max: Date.UTC(2050) })

function utc(text: string): number {
  return Date.parse(`${text}Z`)
}

test('current and legacy names of the tz database are time zones', () => {
  const names = ['UTC', 'GMT', 'Etc/UTC', 'Etc/GMT+3', 'Etc/GMT-14', 'Europe/Riga', 'Europe/Kyiv', 'Asia/Kolkata']
  names.push('America/Argentina/Buenos_Aires', 'America/Port-au-Prince', 'America/North_Dakota/New_Salem')
  names.push('Africa/Dar_es_Salaam', 'Antarctica/DumontDUrville', 'Antarctica/McMurdo', 'America/Coyhaique')
  names.push('US/Eastern', 'Europe/Kiev', 'EST', 'EST5EDT', 'UCT', 'GB', 'GB-Eire', 'NZ-CHAT', 'Japan', 'W-SU')
  for (const name of [...names, ...Intl.supportedValuesOf('timeZone')]) assert.equal(isTimeZone(name), true, name)
})

test('other spellings, offsets, ambiguous abbreviations and unknown names are not time zones', () => {
  const names = ['', ' ', 'foo/bar', 'Foo/Bar', 'utc', 'Utc', 'utc+3', 'UTC+3', '+03:00', '-0300', 'Europe', 'Local']
  names.push('europe/riga', 'EUROPE/RIGA', 'Europe/RIGA', 'Europe/Riga ', ' Europe/Riga', 'Europe//Riga', '/Riga')
  names.push('asia/kolkata', 'us/eastern', 'PST', 'IST', 'BST', 'CST', 'SystemV/EST5', 'posix/Europe/Riga')
  names.push('Etc/Unknown', 'Factory', 'localtime', 'Europe/Riga\0', `Europe/${'A'.repeat(100_000)}`)
  for (const name of names) assert.equal(isTimeZone(name), false, name.slice(0, 40))
})

test('a legacy name is replaced by a current one with the same clock', () => {
  const cases = [
    ['Europe/Kiev', 'Europe/Kyiv'],
    ['US/Eastern', 'America/New_York'],
    ['EST', 'America/Panama'],
    ['UCT', 'Etc/UTC'],
    ['GB', 'Europe/London'],
    ['Japan', 'Asia/Tokyo'],
    ['Europe/Uzhgorod', 'Europe/Kyiv'],
    ['Europe/Zaporozhye', 'Europe/Kyiv'],
    ['Asia/Choibalsan', 'Asia/Ulaanbaatar'],
    ['America/Yellowknife', 'America/Edmonton'],
    ['US/Pacific-New', 'America/Los_Angeles'],
    ['Canada/East-Saskatchewan', 'America/Regina'],
    ['Iceland', 'Atlantic/Reykjavik'],
    ['Navajo', 'America/Denver'],
    ['Europe/Amsterdam', 'Europe/Amsterdam'],
    ['GMT', 'GMT'],
    ['constructor', 'constructor'],
    ['Pacific/Truk', 'Pacific/Chuuk'],
    ['UTC', 'UTC'],
    ['Europe/Riga', 'Europe/Riga'],
  ] as const
  for (const [name, current] of cases) assert.equal(currentZone(name), current)
  assert.equal(readZone('US/Pacific-New'), 'America/Los_Angeles')
  for (const name of ['us/pacific-new', 'Europe/Nowhere', 'constructor', '']) assert.equal(readZone(name), null, name)
  const legacyZones = Object.keys(legacyZoneNames)
  assert.ok(legacyZones.length > 145)
  for (const name of legacyZones) {
    const current = currentZone(name)
    assert.ok(isTimeZone(name) && isTimeZone(current), `${name} ${current}`)
    assert.equal(currentZone(current), current, `${current} is itself a legacy name`)
    for (let at = utc('2019-01-15T00:00'); at < utc('2030-01-01T00:00'); at += 30 * 86_400_000)
      assert.equal(
        spanAt(name, at).offset,
        spanAt(current, at).offset,
        `${name} ${current} ${new Date(at).toISOString()}`,
      )
  }
})

test('a span ends where the clocks change, to the minute', () => {
  const cases: [string, string, number, number][] = [
    ['Europe/Riga', '2024-03-31T01:00', 2, 3],
    ['Europe/Riga', '2024-10-27T01:00', 3, 2],
    ['America/New_York', '2024-03-10T07:00', -5, -4],
    ['Europe/Dublin', '2024-10-27T01:00', 1, 0],
    ['Australia/Lord_Howe', '2024-04-06T15:00', 11, 10.5],
    ['America/Havana', '2024-03-10T05:00', -5, -4],
    ['Pacific/Apia', '2011-12-30T10:00', -10, 14],
    ['America/Boa_Vista', '2000-10-15T03:00', -3, -4],
  ]
  for (const [tz, change, before, after] of cases) {
    const earlier = spanAt(tz, utc(change) - 1)
    assert.deepEqual([earlier.until, earlier.offset], [utc(change), before * HOUR_MS], tz)
    assert.deepEqual([spanAt(tz, utc(change)).from, spanAt(tz, utc(change)).offset], [utc(change), after * HOUR_MS], tz)
  }
})

test('the wall time equals that of Intl', () => {
  fc.assert(
    fc.property(zone, instant, (tz, at) => {
      const format = new Intl.DateTimeFormat('sv-SE', { timeZone: tz, dateStyle: 'short', timeStyle: 'medium' })
      assert.equal(new Date(wallTime(tz, at)).toISOString().slice(0, 19), format.format(at).replace(' ', 'T'))
    }),
  )
})

test('while an hour is repeated the latest wall time stays at the end of its first pass', () => {
  const latest = (at: string) => new Date(latestWallTime('America/New_York', utc(at))).toISOString()
  assert.equal(latest('2024-11-03T05:30'), '2024-11-03T01:30:00.000Z')
  assert.equal(latest('2024-11-03T06:00'), '2024-11-03T01:59:59.999Z')
  assert.equal(latest('2024-11-03T06:59'), '2024-11-03T01:59:59.999Z')
  assert.equal(latest('2024-11-03T07:00'), '2024-11-03T02:00:00.000Z')
})

test('a skipped wall time is reached at the end of the gap, a repeated one on its first pass', () => {
  const first = (tz: string, wall: string) => new Date(firstInstant(tz, utc(wall))).toISOString()
  assert.equal(first('Europe/Riga', '2024-03-31T03:30'), '2024-03-31T01:00:00.000Z')
  assert.equal(first('Europe/Riga', '2024-10-27T03:30'), '2024-10-27T00:30:00.000Z')
  assert.equal(first('Pacific/Apia', '2011-12-30T12:30'), '2011-12-30T10:00:00.000Z')
  assert.equal(first('Pacific/Kiritimati', '2024-01-01T00:00'), '2023-12-31T10:00:00.000Z')
})

test('the first instant of a wall time is the first that shows it or later', () => {
  fc.assert(
    fc.property(zone, instant, (tz, wall) => {
      const first = firstInstant(tz, wall)
      assert.ok(latestWallTime(tz, first) >= wall)
      assert.ok(latestWallTime(tz, first - 1) < wall)
    }),
  )
})

test('old names are those of the tz database without a current place, each with its current name', () => {
  const backward = [
    '# Link\tTARGET\tLINK-NAME',
    'Link\tEurope/Kyiv\tEurope/Kiev',
    'Link\tAfrica/Abidjan\tAtlantic/Reykjavik',
    'Link\tAfrica/Abidjan\tIceland\t#= Atlantic/Reykjavik',
    'Link\tAmerica/Denver\tAmerica/Shiprock',
    'Link\tAmerica/Denver\tNavajo\t#= America/Shiprock',
    'Link\tEtc/UTC\tUTC',
    '#Link\tAmerica/Regina\tNowhere',
  ].join('\n')
  const zoneTab = '#cc\tcoordinates\tTZ\nIS\t+6409-02151\tAtlantic/Reykjavik\nUA\t+5026+03031\tEurope/Kyiv\tmost'
  const page = renderLegacyZones(backward, zoneTab)
  const names = [...page.matchAll(/^ {2}'?([^':]+)'?: '(.+)',$/gm)].map(([, name, current]) => `${name} ${current}`)
  assert.deepEqual(names, [
    'America/Shiprock America/Denver',
    'Canada/East-Saskatchewan America/Regina',
    'Europe/Kiev Europe/Kyiv',
    'Iceland Atlantic/Reykjavik',
    'Navajo America/Denver',
    'US/Pacific-New America/Los_Angeles',
  ])
})
