import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAcknowledging } from '../../src/replicas/acknowledging.ts'

function world(t: { mock: typeof import('node:test').mock }, hasPeers = true) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 0
  let lastReport = { at: 0, spools: false }
  const answered: string[] = []
  const acknowledging = createAcknowledging({
    monotonic: () => now,
    lastReport: () => lastReport,
    hasPeers: () => hasPeers,
    delayMs: 3000,
  })
  return {
    answered,
    acknowledging,
    hold: (name: string) => acknowledging.hold(() => answered.push(name)),
    pass(ms: number) {
      for (let passed = 0; passed < ms; passed += 50) {
        now += 50
        t.mock.timers.tick(50)
      }
    },
    freeze: (ms: number) => {
      now += ms
    },
    report(spools: boolean) {
      lastReport = { at: now, spools }
    },
  }
}

test('a spooled heartbeat is acknowledged once others had time to find the process gone', (t) => {
  const { hold, pass, answered } = world(t)
  pass(500)
  hold('early')
  pass(2400)
  assert.deepEqual(answered, [])
  pass(200)
  assert.deepEqual(answered, ['early'])
  hold('late')
  assert.deepEqual(answered, ['early', 'late'], 'and at once from then on')
})

test('a later report allows a spooled heartbeat to be acknowledged', (t) => {
  const { hold, pass, report, answered } = world(t)
  hold('before')
  pass(250)
  report(false)
  pass(100)
  assert.deepEqual(answered, ['before'])
  hold('after')
  pass(2000)
  assert.deepEqual(answered, ['before'], 'the report knows nothing of what came after it')
})

test('a replica acknowledges at once after others know that it spools', (t) => {
  const { hold, pass, report, answered } = world(t)
  pass(100)
  report(true)
  hold('known')
  assert.deepEqual(answered, ['known'])
})

test('a process that was frozen waits as if it had just reported', (t) => {
  const { hold, freeze, pass, answered } = world(t)
  freeze(60_000)
  hold('thawed')
  pass(2800)
  assert.deepEqual(answered, [])
  pass(300)
  assert.deepEqual(answered, ['thawed'])
})

test('a replica without others acknowledges at once', (t) => {
  const { hold, answered } = world(t, false)
  hold('alone')
  assert.deepEqual(answered, ['alone'])
})

test('closing answers everything that waits', (t) => {
  const { hold, acknowledging, answered } = world(t)
  hold('one')
  hold('two')
  acknowledging.close()
  assert.deepEqual(answered, ['one', 'two'])
})
