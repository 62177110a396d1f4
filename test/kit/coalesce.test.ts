import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coalesce } from '../../src/kit/coalesce.ts'

test('simultaneous calls share one statement, and calls that come meanwhile share the next', async () => {
  const asked: number[][] = []
  let release = () => {}
  const double = coalesce(async (entries: number[]) => {
    asked.push(entries)
    if (asked.length === 1) await new Promise<void>((resolve) => (release = resolve))
    return entries.map((entry) => 2 * entry)
  })
  const first = [1, 2].map(double)
  await new Promise(setImmediate)
  const later = [3, 4, 5].map(double)
  await new Promise(setImmediate)
  release()
  assert.deepEqual(await Promise.all([...first, ...later]), [2, 4, 6, 8, 10])
  assert.deepEqual(asked, [
    [1, 2],
    [3, 4, 5],
  ])
})

test('a statement has no more entries than the limit', async () => {
  const sizes: number[] = []
  const same = coalesce(async (entries: number[]) => {
    sizes.push(entries.length)
    return entries
  }, 2)
  assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(same)), [1, 2, 3, 4, 5])
  assert.deepEqual(sizes, [2, 2, 1])
})

test('a refused entry fails alone, and an unavailable database is asked once', async () => {
  const asked: number[][] = []
  const positive = coalesce(async (entries: number[]) => {
    asked.push(entries)
    if (entries.includes(-1)) throw new Error('violates check constraint')
    if (entries.includes(0)) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
    return entries
  })
  const outcomes = await Promise.allSettled([1, -1, 2].map(positive))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  const away = await Promise.allSettled([1, 0, 2].map(positive))
  assert.ok(away.every(({ status }) => status === 'rejected'))
  assert.deepEqual(asked.at(-1), [1, 0, 2])
})

test('callers of a failed statement get its error, and later callers get an answer', async () => {
  let fails = true
  const same = coalesce(async (entries: number[]) => {
    if (fails) throw new Error('away')
    return entries
  })
  const outcomes = await Promise.allSettled([1, 2].map(same))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  fails = false
  assert.equal(await same(3), 3)
})
