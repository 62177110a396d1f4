// A long outage: a job that follows its schedule before and after it, and retries, causes no alert, however long the
// outage lasts; a job that fell silent is alerted at the deadline that the outage has moved, and the alert names the
// outage.

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { createPostgres } from '../../faults/postgres.ts'
import { call, createReceiver, eventually, scratchDir } from '../../helper.ts'
import { beatS, pause } from '../../patience.ts'
import { sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

/** Each waits for less than an outage lasts; how long it waits in all, by its timeout and grace. */
const lives = [
  { timeout: beatS, grace: 2 * beatS },
  { timeout: 2 * beatS, grace: beatS },
  { timeout: 2 * beatS, grace: 2 * beatS },
]
const outageMs = { min: 4500 * beatS, max: 7000 * beatS }
const retryMs = 250

/** `blind` is the blind time within the wait, in seconds like `waited`; `from` and `to` are the window that the alert names. */
type Flip = { id: string; waited: number; blind: number; reason: string; from: Date; to: Date }
type Alert = { event: string; check: { uuid: string }; blind?: { from: string; to: string } }

/** Sends a heartbeat every `timeout` seconds until stopped, and retries each until it is answered OK, as `curl --retry` does. */
function beatBySchedule(url: () => string, id: string, timeoutS: number): () => Promise<void> {
  let going = true
  const beats = (async () => {
    for (let due = performance.now(); going; due += timeoutS * 1000) {
      await pause(Math.max(0, due - performance.now()))
      while (going && (await fetch(`${url()}/ping/${id}`).catch(() => null))?.status !== 200) await pause(retryMs)
      while (due + timeoutS * 1000 < performance.now()) due += timeoutS * 1000
    }
  })()
  return () => {
    going = false
    return beats
  }
}

async function createCheck(url: string, settings: object): Promise<string> {
  const answer = await call(url, 'POST', '/api/v3/checks/', { channels: '*', ...settings })
  return String(answer.json().uuid)
}

async function outage(t: TestContext, kill: 'database' | 'both'): Promise<void> {
  const postgres = await createPostgres(t)
  const env = { DATABASE_URL: postgres.url, DATA_DIR: await scratchDir(t), INGEST_MODE: 'consistent' }
  let service: Service = await startService(t, { env })
  const receiver = await createReceiver(t)
  const channel = { kind: 'webhook', name: 'hook', settings: { url: receiver.url } }
  await call(service.url, 'POST', '/api/v3/channels/', channel)
  const beating: (() => Promise<void>)[] = []
  const steady: string[] = []
  const silent = new Map<string, number>()
  for (const life of lives) {
    const id = await createCheck(service.url, life)
    steady.push(id)
    const stopBeating = beatBySchedule(() => service.url, id, life.timeout)
    t.after(stopBeating)
    beating.push(stopBeating)
    silent.set(
      await createCheck(service.url, { ...life, grace: life.grace + 2 * beatS }),
      life.timeout + life.grace + 2 * beatS,
    )
  }
  await pause(randomInt(1000 * beatS))
  for (const id of silent.keys()) assert.equal((await fetch(`${service.url}/ping/${id}`)).status, 200)

  await postgres.killAll()
  if (kill === 'both') await service.stop('SIGKILL')
  await pause(randomInt(outageMs.min, outageMs.max))
  await postgres.start()
  if (kill === 'both') service = await startService(t, { env })

  await eventually('the silent checks are alerted', () => receiver.received.length >= silent.size)
  await pause(1000 * beatS)
  for (const stop of beating) await stop()
  const flips = await sql<Flip>(
    postgres.url,
    `SELECT m.id, f.reason, f.blind_from AS "from", f.blind_to AS "to", extract(epoch FROM f.at - m.last_ping)::float8 AS waited,
       (SELECT sum(extract(epoch FROM w.to_at - greatest(w.from_at, m.last_ping)))::float8 FROM blind_windows w
        WHERE w.from_at < f.at AND w.to_at > m.last_ping) AS blind
     FROM flips f JOIN checks m ON m.id = f.check_id WHERE f."to" = 'down'`,
  )
  assert.deepEqual(
    flips.filter(({ id }) => steady.includes(id)),
    [],
    'whoever beats by its schedule is nobody’s alert',
  )
  assert.deepEqual(flips.map(({ id }) => id).sort(), [...silent.keys()].sort())
  for (const { id, reason, waited, blind } of flips) {
    assert.equal(reason, 'timeout')
    assert.ok(blind > outageMs.min / 1000 - 1, `${blind} s of outage`)
    const wait = silent.get(id) ?? 0
    assert.ok(
      Math.abs(waited - blind - wait) < 0.002,
      `down ${waited} s after its beat: ${wait} s, and ${blind} s of outage`,
    )
  }
  const alerts = receiver.received.map(({ body }): Alert => JSON.parse(body))
  assert.deepEqual(alerts.map(({ check }) => check.uuid).sort(), [...silent.keys()].sort())
  for (const { event, check, blind } of alerts) {
    const flip = flips.find(({ id }) => id === check.uuid)
    assert.equal(event, 'down')
    assert.deepEqual(blind && [Date.parse(blind.from), Date.parse(blind.to)], [
      flip?.from.getTime(),
      flip?.to.getTime(),
    ])
  }
  assert.equal(await service.stop(), 0)
}

test('a long outage alerts no check in time, and the alerts of silent checks name it', {
  concurrency: true,
}, async (t) => {
  const ways = { 'of PostgreSQL': 'database', 'of PostgreSQL and the service': 'both' } as const
  await Promise.all(Object.entries(ways).map(([name, kill]) => t.test(name, (each) => outage(each, kill))))
})
