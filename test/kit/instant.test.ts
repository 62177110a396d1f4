// Instants as programs of all kinds write them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isoMicroseconds, isoMillis, isoSeconds, parseInstant } from '../../src/kit/instant.ts'

test('an instant is parsed in the forms of ISO 8601 and RFC 3339', () => {
  const rows: [text: string, at: string][] = [
    ['2026-11-22T21:10:00Z', '2026-11-22T21:10:00.000Z'],
    ['2026-11-22t21:10:00z', '2026-11-22T21:10:00.000Z'],
    ['2026-11-22 21:10:00+00:00', '2026-11-22T21:10:00.000Z'],
    ['2026-11-22T21:10Z', '2026-11-22T21:10:00.000Z'],
    ['2026-11-22T21:10:00.1Z', '2026-11-22T21:10:00.100Z'],
    ['2026-11-22T21:10:00,25Z', '2026-11-22T21:10:00.250Z'],
    ['2026-11-22T21:10:00.123456Z', '2026-11-22T21:10:00.123Z'],
    ['2026-11-22T21:10:00.123456789+00:00', '2026-11-22T21:10:00.123Z'],
    [`2026-11-22T21:10:59.${'9'.repeat(100)}Z`, '2026-11-22T21:10:59.999Z'],
    ['2026-11-22T21:10:00+05:30', '2026-11-22T15:40:00.000Z'],
    ['2026-11-22T21:10:00+0530', '2026-11-22T15:40:00.000Z'],
    ['2026-11-22T21:10:00-08', '2026-11-23T05:10:00.000Z'],
    ['2026-11-22T21:10:00 01:00', '2026-11-22T20:10:00.000Z'],
    ['2026-11-22T24:00:00Z', '2026-11-23T00:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['0050-01-01T00:00:00Z', '0050-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00+14:00', '2025-12-31T10:00:00.000Z'],
  ]
  for (const [text, at] of rows) assert.equal(new Date(parseInstant(text) ?? Number.NaN).toJSON(), at, text)
})

test('a day, a time or an offset that does not exist is refused', () => {
  const texts = ['', 'now', '2026-11-22', '2026-11-22T21:10:00', '2026-11-22T21Z', '20261122T211000Z', '1795381800']
  texts.push('2026-02-29T00:00:00Z', '2026-02-30T00:00:00Z', '2026-04-31T00:00:00Z', '2100-02-29T00:00:00Z')
  texts.push('2026-00-01T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-00T00:00:00Z', '2026-01-32T00:00:00Z')
  texts.push('2026-01-01T24:00:01Z', '2026-01-01T24:30:00Z', '2026-01-01T24:00:00.5Z', '2026-01-01T25:00:00Z')
  texts.push('2026-01-01T00:60:00Z', '2026-01-01T00:00:60Z', '2026-01-01T00:00:00+24:00', '2026-01-01T00:00:00+00:60')
  texts.push('2026-01-01T00:00:00.Z', ' 2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z ', '+2026-01-01T00:00:00Z')
  texts.push('٢026-01-01T00:00:00Z', '2026-01-01T00:00:00ZZ', '2026-01-01T00:00:00+1:00', '2026-01-01T00:00:00UTC')
  for (const text of texts) assert.equal(parseInstant(text), null, text)
})

test('every instant that is written can be parsed', () => {
  const instants = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(9999, 11, 31) })
  fc.assert(
    fc.property(instants, (at) => {
      assert.equal(parseInstant(isoMillis(at)), at)
      assert.equal(parseInstant(isoMicroseconds(at)), at)
      assert.equal(parseInstant(isoSeconds(at)), Math.floor(at / 1000) * 1000)
      assert.equal(parseInstant(new Date(at).toISOString().toLowerCase()), at)
    }),
  )
})
