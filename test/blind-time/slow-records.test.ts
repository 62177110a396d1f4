// A record of acceptance by a database that takes long for every answer. Time is the test's own.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createBlindTime } from '../../src/blind-time/service.ts'
import type { Database } from '../../src/database/service.ts'

const blindAfterMs = 2000
const stepMs = 100

type Query = { name: string; values: number[]; resolve: (rows: []) => void; reject: (error: Error) => void }

function world(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  const asked: Query[] = []
  const recorded: number[] = []
  const database = {
    clock: { monotonic: () => now, now: () => now, steppedAt: () => Number.NEGATIVE_INFINITY },
    query: ({ name }: { name: string }, values: number[]) =>
      new Promise((resolve, reject) => asked.push({ name, values, resolve, reject })),
  } as unknown as Database
  const patience = { afterOutageMs: 300_000, unheardMs: 60_000 }
  const blindTime = createBlindTime({ database, blindAfterMs, acceptanceIntervalMs: 500, patience })

  /** Whether the windows were current in every moment of it. */
  function pass(ms: number): boolean {
    let isCurrent = true
    for (let passed = 0; passed < ms; passed += stepMs) {
      now += stepMs
      t.mock.timers.tick(stepMs)
      isCurrent &&= blindTime.isCurrent()
    }
    return isCurrent
  }

  return {
    blindTime,
    pass,
    /** For how long heartbeats had been accepted here, as each record said. */
    recorded,
    standStill: (ms: number) => {
      now += ms
    },
    /** One record in which every answer of the database takes this long; `then` is the result of the last one. */
    async record(answerMs: number, then: 'answered' | 'fails' = 'answered'): Promise<boolean> {
      let isCurrent = true
      let isDone = false
      const done = blindTime.record().then(
        () => (isDone = true),
        () => (isDone = true),
      )
      while (!isDone) {
        await turn()
        const query = asked.shift()
        if (query === undefined) continue
        if (query.name === 'blind_time_record') recorded.push(query.values[1] as number)
        isCurrent = pass(answerMs) && isCurrent
        if (then === 'fails') query.reject(new Error('lost'))
        else query.resolve([])
        await turn()
      }
      await done
      return isCurrent
    },
  }
}

test('the record stays current and says that heartbeats were accepted, however long each answer takes', async (t) => {
  const { record, pass, recorded } = world(t)
  await record(0)
  await record(2000)
  for (let n = 0; n < 5; n++) {
    assert.ok(pass(500), 'between two records')
    assert.ok(await record(2000), 'while one is under way')
  }
  // Since the record before it began: no gap is left between the two.
  assert.deepEqual(recorded.slice(-3), [4500, 4500, 4500])
})

test('a record that fails ends the allowance for a slow database', async (t) => {
  const { blindTime, record, pass } = world(t)
  await record(0)
  await record(2000)
  await record(1000, 'fails')
  assert.ok(blindTime.isCurrent(), 'a gap shorter than a window is none')
  pass(blindAfterMs)
  assert.ok(!blindTime.isCurrent())
})

test('a refused heartbeat ends the allowance, and the time does not count as accepted', async (t) => {
  const { blindTime, record, pass, recorded } = world(t)
  await record(0)
  await record(2000)
  const under = record(2000)
  pass(500)
  blindTime.refused()
  pass(blindAfterMs)
  assert.ok(!blindTime.isCurrent())
  await under
  await record(2000)
  assert.equal(recorded.at(-1), 0)
})

test('a record in progress when heartbeats are refused is not complete', async (t) => {
  const { blindTime, record } = world(t)
  await record(0)
  const under = record(100)
  blindTime.closedSince(0)
  await under
  assert.ok(!blindTime.isCurrent())
  await record(100)
  assert.ok(blindTime.isCurrent())
})

test('a process that stood still knows that its record is old, whichever check comes first', async (t) => {
  for (const ticksFirst of [false, true]) {
    await t.test(ticksFirst ? 'its timer' : 'a heartbeat', async (each) => {
      const { blindTime, record, pass, recorded, standStill } = world(each)
      await record(0)
      await record(2000)
      const under = record(2000)
      standStill(3000)
      if (ticksFirst) pass(500)
      assert.ok(!blindTime.isCurrent())
      await under
      await record(0)
      assert.ok((recorded.at(-1) as number) < 3000, 'what it accepted before the pause does not count')
    })
  }
})
