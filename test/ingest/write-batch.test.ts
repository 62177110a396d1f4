import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from '../../src/ingest/signal.ts'
import { createBatchWriter } from '../../src/ingest/write-batch.ts'
import { received } from './received.ts'

const stored: Outcome = { recorded: 'success', created: false }
const refused = () => Object.assign(new Error('cannot be stored'), { code: '22021' })

/** A database that refuses any batch with a poisoned heartbeat; `batches` are the ids of each attempt. */
function open(poisoned: (id: string) => boolean, fail: () => Error = refused) {
  const batches: string[][] = []
  const kept = new Set<string>()
  const writing = createBatchWriter({
    record: async (entries) => {
      batches.push(entries.map(({ id }) => id))
      if (entries.some(({ id }) => poisoned(id))) throw fail()
      for (const { id } of entries) kept.add(id)
      return new Map(entries.map(({ id }) => [id, stored]))
    },
    projectsOf: async (ids) => new Map(ids.map((id) => [id, `project of ${id.slice(0, 6)}`])),
    makePartitions: async () => undefined,
  })
  return { writing, batches, kept }
}

/** `each` heartbeats of every one of `tenants`, mixed. */
const mixed = (tenants: number, each: number) =>
  Array.from({ length: tenants * each }, (_, i) =>
    received({ id: `t${i % tenants}-${i}`, checkId: `check${i % tenants}`, at: i }),
  )

test('heartbeats that cannot be stored are found by halving, and all others are stored', async () => {
  for (const isPatient of [false, true]) {
    const { writing, batches, kept } = open((id) => id === 't3-403')
    const results = await writing.write(mixed(50, 10), { again: false, isPatient })
    assert.equal(kept.size, 499)
    assert.deepEqual(
      results.flatMap((result, i) => (result instanceof Error ? [i] : [])),
      [403],
    )
    assert.ok(
      batches.length <= 2 * (Math.ceil(Math.log2(50)) + Math.ceil(Math.log2(10))) + 3,
      `${batches.length} attempts`,
    )
  }
})

test('a project whose heartbeats all fail costs others no heartbeat and little time', async () => {
  const { writing, batches, kept } = open((id) => id.startsWith('t7-'))
  const results = await writing.write(mixed(10, 50), { again: false, isPatient: false })
  assert.equal(kept.size, 450)
  assert.equal(results.filter((result) => result instanceof Error).length, 50)
  assert.ok(batches.length < 110, `${batches.length} attempts`)
  const others = batches.findLastIndex((ids) => ids.some((id) => !id.startsWith('t7-')))
  assert.ok(others < 12, 'they do not wait until all of it has been looked at')
  const patient = open((id) => id.startsWith('t7-') && id !== 't7-497')
  await patient.writing.write(mixed(10, 50), { again: true, isPatient: true })
  assert.equal(patient.kept.size, 451, 'from a spool nothing is refused unseen')
})

test('a batch that fails because the database is unavailable is not searched', async () => {
  const { writing, batches } = open(
    () => true,
    () => Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }),
  )
  await assert.rejects(writing.write(mixed(2, 10), { again: false, isPatient: true }), /gone/)
  assert.equal(batches.length, 1)
})

test('a heartbeat without an outcome fails alone and does not count as one without a check', async () => {
  const writing = createBatchWriter({
    record: async (entries) => new Map(entries.slice(1).map(({ id }) => [id, stored])),
    projectsOf: async () => new Map(),
    makePartitions: async () => undefined,
  })
  const [first, second] = await writing.write(mixed(1, 2), { again: false, isPatient: false })
  assert.ok(first instanceof Error)
  assert.deepEqual(second, stored)
})
