// Three replicas, each with its own connection to the database, which fails at random in the ways networks do, often
// at the same time as others. Checks send heartbeats in time through any replica that answers. There is no false
// alert, and in the end every check has the status that the state machine computes from its stored heartbeats in
// order, with its flips in the order of their dates.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSettings } from '../../../src/checks/fields/fields.ts'
import type { BlindWindow } from '../../../src/core/blind-time.ts'
import { rulesOf } from '../../../src/core/check.ts'
import type { Heartbeat } from '../../../src/core/heartbeat.ts'
import { initialState, onHeartbeat, onTime, type State } from '../../../src/core/status.ts'
import { createFaultProxy, type Fault } from '../../fault-proxy.ts'
import { call, createReceiver, eventually, keys } from '../../helper.ts'
import { patience, pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }
const settings = { timeout: 8, grace: 6 }
const limitMs = (settings.timeout + settings.grace) * 1000 - 2000
const beatMs = 1500
const checksCount = 30
const faultyMs = Number(process.env.FAULTY_MS ?? 45_000)

type FlipRow = { id: string; at: number; to: string; reason: string }
type CheckRow = { id: string; status: string; last_ping: number | null; n: string }
type BeatRow = Heartbeat & { check: string }

/** Beats through a replica at random, and through another at once where one does not answer OK. */
function beatUntilStopped(services: readonly Service[], checks: readonly string[]) {
  const stopping = new AbortController()
  const tardy = new Map<string, string>()
  async function beatOnce(id: string): Promise<boolean> {
    const service = services[Math.floor(Math.random() * services.length)] as Service
    const signal = AbortSignal.timeout(patience(8000))
    const response = await fetch(`${service.url}/ping/${id}`, { signal }).catch(() => null)
    await response?.text().catch(() => undefined)
    return response?.status === 200
  }
  async function beat(id: string): Promise<void> {
    let last = performance.now()
    while (!stopping.signal.aborted) {
      const isStored = await beatOnce(id)
      const now = performance.now()
      if (now - last > limitMs) tardy.set(id, `${Math.round(now - last)} ms between two beats`)
      if (isStored) last = now
      await pause(isStored ? beatMs : 100, stopping.signal)
    }
  }
  const done = Promise.all(checks.map(beat))
  return {
    tardy,
    async stop() {
      stopping.abort()
      await done
    },
  }
}

/** The result of the state machine for these heartbeats. */
function inOrder(beats: readonly Heartbeat[], windows: readonly BlindWindow[], until: number) {
  const rules = rulesOf({ ...defaultSettings, kind: 'simple', timeoutS: settings.timeout, graceS: settings.grace })
  let state: State = initialState
  const flips: { at: number; to: string; reason: string }[] = []
  const take = (change: ReturnType<typeof onTime>) => {
    state = change.state
    if (change.flip) flips.push({ at: change.flip.at, to: change.flip.to, reason: change.flip.reason })
  }
  for (const beat of beats) {
    take(onTime(rules, state, beat.at, windows))
    take(onHeartbeat(rules, state, beat, windows))
  }
  take(onTime(rules, state, until, windows))
  return { state, flips }
}

test('replicas whose connections fail at random raise no false alert and agree with the core', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxies = await Promise.all([1, 2, 3].map(() => createFaultProxy(t, databaseUrl)))
  const services = await Promise.all(proxies.map(({ url }) => startService(t, { env: { DATABASE_URL: url } })))
  const receiver = await createReceiver(t)
  const [first] = services as [Service]
  await call(
    first.url,
    'POST',
    '/api/v3/channels/',
    { kind: 'webhook', name: 'hook', settings: { url: receiver.url } },
    auth,
  )
  const made = await Promise.all(
    Array.from({ length: checksCount }, () =>
      call(first.url, 'POST', '/api/v3/checks/', { ...settings, channels: '*' }, auth),
    ),
  )
  const checks = made.map((answer) => String(answer.json().uuid))
  const beating = beatUntilStopped(services, checks)
  t.after(() => beating.stop())

  const faults: Fault[] = ['refuse', 'blackhole', 'reset']
  const end = performance.now() + faultyMs
  await Promise.all(
    proxies.map(async (proxy) => {
      while (performance.now() < end) {
        await pause(500 + Math.random() * 8000)
        await proxy.set(faults[Math.floor(Math.random() * faults.length)] as Fault)
        await pause(200 + Math.random() * 8000)
        await proxy.set('pass')
      }
    }),
  )
  const isSettled = async () => {
    const [row] = await sql<{ open: string }>(
      databaseUrl,
      `SELECT (SELECT count(*) FROM checks WHERE unsettled_to IS NOT NULL) + (SELECT count(*) FROM replicas WHERE spools) AS open`,
    )
    return row?.open === '0'
  }
  await eventually('all spools to be in the database', isSettled, 90_000)
  const down = () =>
    sql<FlipRow>(
      databaseUrl,
      `SELECT check_id AS id, extract(epoch FROM at)::float8 * 1000 AS at FROM flips WHERE "to" = 'down'`,
    )
  const alarmed = (await down()).filter(({ id }) => !beating.tardy.has(id))
  await beating.stop()
  assert.ok(beating.tardy.size < checks.length, [...beating.tardy.values()].join(', '))
  assert.deepEqual(alarmed, [])
  await eventually('all checks that fell silent to be down', async () => (await down()).length >= checks.length, 90_000)

  const windows = await sql<BlindWindow>(
    databaseUrl,
    'SELECT extract(epoch FROM from_at)::float8 * 1000 AS "from", extract(epoch FROM to_at)::float8 * 1000 AS "to" FROM blind_windows ORDER BY from_at',
  )
  const beats = await sql<BeatRow>(
    databaseUrl,
    `SELECT check_id AS check, extract(epoch FROM received_at)::float8 * 1000 AS at, kind, rid, exit_status AS "exitStatus"
     FROM heartbeats ORDER BY received_at, id`,
  )
  const flips = await sql<FlipRow>(
    databaseUrl,
    `SELECT check_id AS id, extract(epoch FROM at)::float8 * 1000 AS at, "to", reason FROM flips ORDER BY seq`,
  )
  const rows = await sql<CheckRow>(
    databaseUrl,
    'SELECT id, status, extract(epoch FROM last_ping)::float8 * 1000 AS last_ping, n FROM checks',
  )
  for (const row of rows) {
    const own = beats.filter(({ check }) => check === row.id)
    const expected = inOrder(own, windows, Date.now() + 3_600_000)
    assert.deepEqual([row.status, row.last_ping, Number(row.n)], ['down', expected.state.lastPing, own.length])
    const recorded = flips.filter(({ id }) => id === row.id).map(({ at, to, reason }) => ({ at, to, reason }))
    assert.deepEqual(recorded, expected.flips)
  }
  t.diagnostic(
    `${beats.length} heartbeats, ${windows.length} blind windows, ${beating.tardy.size} checks were answered late`,
  )
})
