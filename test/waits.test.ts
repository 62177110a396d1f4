// Tests must pass on a busy machine: they wait by patience.ts, and this test finds fixed limits and pauses elsewhere.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const rules: [what: string, pattern: RegExp][] = [
  ['timers: eventually, within or pause', /setTimeout.* from 'node:timers|\bsetTimeout\(/],
  ['fixed signals: within', /AbortSignal\.timeout\((?!patience\()/],
  [
    'fixed limits of tests and programs: patience',
    /\btimeout = \d|\{ timeout: \d+_000 \}|connectionTimeoutMillis: \d|^ {4}timeout: [\d_]{5,},$/,
  ],
  [
    'how long something took: order, or patience and cpuMs',
    /assert\S*\(.*(performance|Date)\.now\(\) - \w+ <=? (?!patience\()/,
  ],
  ['polling of one’s own: eventually', /while \(.*\) await pause\(/],
]
/** Clients of their own, whose pauses are what they are. */
const exempt = [
  'test/patience.ts',
  'test/waits.test.ts',
  'test/architecture.test.ts',
  'test/scenarios/alerts/outage-alerts.test.ts: polling of one’s own: eventually',
]

test('tests wait only with patience.ts, and no assertion depends on a quiet machine', () => {
  const found = globSync('test/**/*.ts')
    .filter((path) => !path.startsWith('test/runner/') && !exempt.includes(path))
    .flatMap((path) => {
      const lines = readFileSync(path, 'utf8').split('\n')
      return rules.flatMap(([what, pattern]) =>
        lines.flatMap((line, index) =>
          pattern.test(line) ? [{ at: `${path}: ${what}`, line: `${index + 1}: ${line.trim()}` }] : [],
        ),
      )
    })
    .filter(({ at }) => !exempt.includes(at))
  assert.deepEqual(found, [])
})
