import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBatcher } from '../../src/kit/batcher.ts'
import { eventually } from '../helper.ts'

const limits = {
  queueMaxEntries: 100,
  queueMaxBytes: 1000,
  batchMax: 10,
  batchMaxBytes: 500,
  inFlightMax: 1,
  slowMax: 0,
}

function push<Entry, Result>(batcher: ReturnType<typeof createBatcher<Entry, Result>>, entry: Entry, bytes = 1) {
  return new Promise<Result | Error | 'full' | undefined>((resolve) => {
    if (!batcher.push(entry, bytes, (error, result) => resolve(error ?? result))) resolve('full')
  })
}

test('a lone entry is written at once, and entries that arrive meanwhile form the next batch', async () => {
  const batches: number[][] = []
  let release = () => {}
  const batcher = createBatcher<number, number>({
    ...limits,
    write: async (entries) => {
      batches.push(entries)
      if (batches.length === 1) await new Promise<void>((resolve) => (release = resolve))
      return entries
    },
  })
  const first = push(batcher, 1)
  await new Promise(setImmediate)
  const rest = [2, 3, 4].map((entry) => push(batcher, entry))
  assert.equal(batcher.oldest(), 1)
  release()
  assert.deepEqual(await Promise.all([first, ...rest]), [1, 2, 3, 4])
  assert.deepEqual(batches, [[1], [2, 3, 4]])
  await batcher.drained()
  assert.equal(batcher.oldest(), undefined)
})

test('a full queue takes nothing more, counted in entries and in bytes', async () => {
  const batcher = createBatcher<number, number>({ ...limits, queueMaxEntries: 2, write: async (entries) => entries })
  const pushed = [1, 2, 3].map((entry) => push(batcher, entry))
  assert.deepEqual(await Promise.all(pushed), [1, 2, 'full'])
  assert.equal(await push(batcher, 4, 5000), 'full')
})

test('an error for one entry fails only that entry; a rejection fails all', async () => {
  const batcher = createBatcher<number, number>({
    ...limits,
    write: async (entries) => {
      if (entries.includes(9)) throw new Error('all')
      return entries.map((entry) => (entry === 2 ? new Error('alone') : entry))
    },
  })
  const mixed = await Promise.all([1, 2, 3].map((entry) => push(batcher, entry)))
  assert.deepEqual(
    mixed.map((one) => (one instanceof Error ? one.message : one)),
    [1, 'alone', 3],
  )
  const failed = await Promise.all([8, 9].map((entry) => push(batcher, entry)))
  assert.deepEqual(
    failed.map((one) => (one instanceof Error ? one.message : one)),
    ['all', 'all'],
  )
})

test('a batch has no more bytes than its limit, and a larger entry is written alone', async () => {
  const batches: number[][] = []
  const batcher = createBatcher<number, number>({
    ...limits,
    write: async (entries) => {
      batches.push(entries)
      return entries
    },
  })
  await Promise.all([300, 150, 100, 600, 10].map((bytes) => push(batcher, bytes, bytes > 400 ? 400 : bytes)))
  assert.deepEqual(batches, [[300, 150], [100, 600], [10]])
  const alone = createBatcher<number, number>({
    ...limits,
    write: async (entries) => {
      batches.push(entries)
      return entries
    },
  })
  await Promise.all([700, 20].map((bytes) => push(alone, bytes, bytes)))
  assert.deepEqual(batches.slice(3), [[700], [20]])
})

test('a batch that hangs does not block those behind it', async () => {
  const waiting = new Map<number, () => void>()
  const begun: number[] = []
  const batcher = createBatcher<number, number>({
    ...limits,
    batchMax: 1,
    slowMax: 1,
    write: async ([entry = 0]) => {
      begun.push(entry)
      await new Promise<void>((resolve) => waiting.set(entry, resolve))
      return [entry]
    },
  })
  const pushed = [1, 2, 3].map((entry) => push(batcher, entry))
  await eventually('the second to be begun beside the first', () => begun.includes(2))
  waiting.get(2)?.()
  await pushed[1]
  await eventually('the third', () => begun.includes(3))
  assert.deepEqual(begun, [1, 2, 3])
  for (const release of waiting.values()) release()
  await Promise.all(pushed)
})
