import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdoption } from '../../../src/ingest/failover/adoption.ts'

test('a process whose spool was adopted in an outage is removed once the database is back', async () => {
  const found = [['a'], ['b'], []]
  const forgotten: (readonly string[])[] = []
  let isAway = true
  const adopt = createAdoption({
    adopt: async () => found.shift() ?? [],
    record: async () => {
      if (isAway) throw new Error('away')
    },
    forget: async (ids) => void forgotten.push(ids),
  })
  await assert.rejects(adopt(), /away/)
  isAway = false
  await adopt()
  await adopt()
  assert.deepEqual(forgotten, [['a', 'b']])
})
