import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLineLimit, createTiming } from '../../src/logging/timing.ts'

type Line = { level: string; msg: string } & Record<string, unknown>

function timing(slowMs: number) {
  const lines: Line[] = []
  const clock = { now: 0 }
  const log = {
    debug: (line: object, msg: string) => void lines.push({ level: 'debug', ...line, msg }),
    warn: (line: object, msg: string) => void lines.push({ level: 'warn', ...line, msg }),
  }
  const write = createTiming({ log, event: 'a.pass', message: 'pass done', slowMs, monotonic: () => clock.now })
  return { lines, clock, write }
}

test('a timing line has event, duration, success and items, at debug, and other fields as they are', () => {
  const { lines, write } = timing(1000)
  write(12.345, { success: true, items: 3, kind: 'webhook' })
  write(1000, { success: false, items: 0 })
  assert.deepEqual(lines, [
    { level: 'debug', event: 'a.pass', durationMs: 12.3, success: true, items: 3, kind: 'webhook', msg: 'pass done' },
    { level: 'debug', event: 'a.pass', durationMs: 1000, success: false, items: 0, msg: 'pass done' },
  ])
})

test('what found nothing to do is logged only if it was slow', () => {
  const { lines, write } = timing(1000)
  write(999, { success: true, items: 0 })
  assert.equal(lines.length, 0)
  write(1001, { success: true, items: 0 })
  assert.equal(lines[0]?.level, 'warn')
})

test('slow ones are at warn once in ten seconds, with the number left out; 0 switches them off', () => {
  const { lines, clock, write } = timing(1000)
  for (let n = 0; n < 1000; n++) write(2000, { success: true, items: 1 })
  clock.now = 10_000
  write(2000, { success: true, items: 1 })
  const warnings = lines.filter(({ level }) => level === 'warn')
  assert.deepEqual(
    warnings.map(({ leftOut, slowMs, msg }) => [leftOut, slowMs, msg]),
    [
      [undefined, 1000, 'pass done, slowly'],
      [999, 1000, 'pass done, slowly'],
    ],
  )
  assert.equal(lines.length, 1001, 'at debug none is left out')

  const off = timing(0)
  off.write(1e9, { success: true, items: 1 })
  assert.equal(off.lines[0]?.level, 'debug')
})

test('a limit of lines counts each key by itself and all keys together', () => {
  let now = 0
  const limit = createLineLimit({ everyMs: 10, total: 2, monotonic: () => now })
  assert.deepEqual(['a', 'a', 'b', 'c', 'c'].map(limit), [0, null, 0, null, null])
  now = 10
  assert.deepEqual(['c', 'a', 'b'].map(limit), [2, 1, null])
  now = 20
  assert.deepEqual(['b', 'd', 'a'].map(limit), [1, 0, null])
})
