import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import pg from 'pg'
import { createClock } from '../../../src/database/clock.ts'
import { createWriteProbe } from '../../../src/ingest/failover/write-probe.ts'
import { build, eventually } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { sql } from '../../postgres.ts'

const full = Object.assign(new Error('could not extend file'), { code: '53100', severity: 'ERROR' })
const invalid = Object.assign(new Error('invalid byte sequence'), { code: '22021', severity: 'ERROR' })

function world() {
  const state = { now: 0, works: true, trials: 0, closed: [] as number[] }
  const intake = createWriteProbe({
    onClosed: (since) => state.closed.push(since),
    database: {
      clock: { ...createClock(), monotonic: () => state.now },
      transaction: async () => {
        state.trials++
        if (!state.works) throw full
        return undefined as never
      },
    },
  })
  return { state, intake }
}

/** Starts a trial if one is due, and waits for it. */
async function tried(intake: ReturnType<typeof createWriteProbe>): Promise<boolean> {
  intake.isOpen()
  await turn()
  return intake.isOpen()
}

test('after a refusal a test write decides whether heartbeats can be stored', async () => {
  const { state, intake } = world()
  assert.equal(await tried(intake), true)
  assert.equal(state.trials, 0)
  state.works = false
  state.now = 500
  intake.refused(full, 100, 1_000_100)
  intake.refused(full, 200, 1_000_200)
  assert.equal(intake.suspectedSince(), 1_000_100)
  assert.equal(await tried(intake), false)
  state.works = true
  assert.equal(await tried(intake), true)
  const { trials } = state
  assert.equal(await tried(intake), true)
  assert.equal(state.trials, trials)
  assert.deepEqual(state.closed, [1_000_100], 'from the first one on')
})

test('a refusal by a slow database causes no blind time', async () => {
  const { state, intake } = world()
  state.now = 500
  intake.refused(full, 100, 1_000_100)
  assert.equal(await tried(intake), true)
  assert.equal(intake.suspectedSince(), null)
  intake.refused(full, 400, 1_000_400)
  state.now = 3000
  assert.equal(intake.suspectedSince(), null, 'detection does not wait for longer')
  assert.deepEqual(state.closed, [])
})

test('a refusal among stored heartbeats affects only that heartbeat', async () => {
  const { state, intake } = world()
  state.works = false
  state.now = 500
  intake.stored()
  intake.refused(full, 100, 1_000_100)
  assert.equal(await tried(intake), true)
  intake.refused(invalid, 600, 1_000_600)
  assert.equal(await tried(intake), true)
  state.now = 900
  intake.refused(full, 600, 1_000_600)
  assert.equal(await tried(intake), false)
  intake.stored()
  assert.equal(await tried(intake), true)
  assert.deepEqual(state.closed, [1_000_600])
})

test('time in which the database answers but stores no heartbeat is blind', async (t) => {
  const { app, call, databaseUrl, url } = await build(t, { INGEST_MODE: 'consistent' })
  // Shorter than the lock is held on a quiet machine.
  const timeout = Math.ceil(patience(3000) / 1000)
  const { uuid } = (await call('POST', '/api/v3/checks/', { timeout, grace: 1 })).json()
  const ping = () => fetch(`${url}/ping/${uuid}`)
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  assert.equal((await ping()).status, 200)
  await client.query('BEGIN')
  await client.query('LOCK TABLE heartbeats IN SHARE MODE')
  const asked = app.database.clock.now()
  assert.equal((await ping()).status, 503)
  await eventually('the trial to fail', () => !app.heartbeats.isTaking())
  await client.end()
  await eventually('heartbeats to be stored', () => app.heartbeats.isTaking())
  const answered = app.database.clock.now()
  const window = await eventually('a blind window', () => app.blindTime.windows().find(({ to }) => to > asked))
  assert.ok(window.from <= answered, 'it begins when the refused heartbeat came')
  assert.equal((await ping()).status, 200)
  assert.deepEqual(await sql(databaseUrl, `SELECT * FROM flips WHERE "to" = 'down'`), [])
  assert.deepEqual(await sql(databaseUrl, 'SELECT * FROM heartbeats WHERE check_id <> $1', [uuid]), [])
})
