// The statement for steady heartbeats records a heartbeat only as the state machine would.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { defaultSettings, type Settings } from '../../src/checks/fields/fields.ts'
import { insertCheck, lockChecks, writeChanges } from '../../src/checks/store.ts'
import { rulesOf } from '../../src/core/check.ts'
import { deadlineOf, initialState, type State } from '../../src/core/status.ts'
import { openWatermark } from '../../src/core/watermark.ts'
import { createClient, type Queryable } from '../../src/database/connection/client.ts'
import type { Database } from '../../src/database/service.ts'
import { applySignals } from '../../src/ingest/apply-signals.ts'
import { heartbeatId } from '../../src/ingest/heartbeat-id.ts'
import { ensurePartitions } from '../../src/ingest/history/partitions.ts'
import type { Received } from '../../src/ingest/signal.ts'
import { recordSteady } from '../../src/ingest/steady-store.ts'
import { createDatabase, sql } from '../postgres.ts'
import { received } from './received.ts'

const count = 1500
const base = Date.now()
const undisturbed = { windows: [], watermark: openWatermark, lastFlipAt: null, recent: [], contents: new Map() }

test('the fast statement records a heartbeat only if the state machine would do exactly the same', async (t) => {
  const { url, client, projectId } = await open(t)
  const cases = fc
    .sample(caseOf, { numRuns: count, seed: 20261124 })
    .map((given) => ({ ...given, id: crypto.randomUUID() }))
  await client.transaction(async (tx) => {
    for (const { id, settings, state } of cases) {
      await putCheck(tx, { id, projectId, badgeKey: crypto.randomUUID(), createdAt: base, settings }, state)
    }
  })

  const ids = cases.map(({ id }) => id)
  const inOrder = (checks: Awaited<ReturnType<typeof lockChecks>>) => new Map(checks.map((m) => [m.id, m]))
  const before = inOrder(await lockChecks(client, ids))
  const signals = new Map(cases.map(({ id, offsets }) => [id, offsets.map((offset) => success(id, base + offset))]))
  const { counts, left } = await recordSteady(client, signals)
  const taken = new Set(ids.filter((id) => !left.has(id)))
  const offered = cases.filter(({ id }) => taken.has(id)).reduce((sum, { offsets }) => sum + offsets.length, 0)
  assert.deepEqual(counts, [{ projectId, count: offered }])
  const after = inOrder(await lockChecks(client, ids))

  for (const { id } of cases) {
    const check = before.get(id)
    const result = after.get(id)
    assert.ok(check && result)
    if (!taken.has(id)) {
      assert.deepEqual(result, check)
      continue
    }
    const decided = applySignals(check, signals.get(id) ?? [], undisturbed)
    assert.deepEqual(decided.flips, [])
    assert.deepEqual(result.state, decided.state)
    assert.equal(result.deadline, deadlineOf(rulesOf(check.settings), decided.state, []))
    assert.ok(result.lookAt !== null && result.deadline !== null && result.lookAt <= result.deadline)
    const rows = await sql(url, 'SELECT id, n::int, kind, duration_ms FROM heartbeats WHERE check_id = $1 ORDER BY n', [
      id,
    ])
    const recorded = decided.recorded.map(({ received: { id: heartbeat }, n, kind, durationMs }) => ({
      ...{ id: heartbeat, n, kind, duration_ms: durationMs },
    }))
    assert.deepEqual(rows, recorded)
  }
  assert.ok(taken.size > count / 20, `${taken.size} of ${count} were steady`)
  const plain = cases.filter(({ settings, state, offsets }) => isPlain(settings, state, offsets))
  assert.ok(plain.length > 20 && plain.every(({ id }) => taken.has(id)), 'what is plainly steady is taken')
})

test('every property of a heartbeat is stored as received, with its own sender', async (t) => {
  const { url, client, projectId } = await open(t)
  const state: State = { ...initialState, status: 'up', n: 5, lastPing: base - 1000 }
  const ids = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()]
  await client.transaction(async (tx) => {
    const settings = { ...defaultSettings, timeoutS: 60, graceS: 60 }
    for (const id of ids) {
      await putCheck(tx, { id, projectId, badgeKey: crypto.randomUUID(), createdAt: base, settings }, state)
    }
  })
  const browser = { scheme: 'https', method: 'POST', remoteAddr: '2001:db8::1', ua: 'quote " comma , brace } \\ ä' }
  const [first, second, third] = ids as [string, string, string]
  const sent = [
    success(first, base),
    success(first, base + 1, { ...browser, body: Buffer.from([0, 1, 255]) }),
    success(first, base + 2, { exitStatus: 0 }),
    success(second, base, { ...browser, rid: crypto.randomUUID() }),
    success(second, base + 0.5, { ua: '', body: Buffer.alloc(3) }),
    success(third, base, { ua: 'NULL' }),
  ]
  const batches = [sent.filter(({ body }) => body === null), sent.filter(({ body }) => body !== null)]
  for (const batch of batches) {
    const { left } = await recordSteady(client, Map.groupBy(batch, checkIdOf))
    // What is older than the newest is not for this statement, and the first batch held what came last.
    assert.deepEqual([...left], batch === batches[0] ? [] : [first])
  }
  const [withBody] = batches[1]?.filter((one) => checkIdOf(one) === first) ?? []
  const kept = sent.filter((one) => one !== withBody)
  const rows = await sql<{ id: string }>(
    url,
    `SELECT h.id, h.check_id, round(extract(epoch FROM h.received_at) * 1000)::float8 AS at, kind, exit_status, rid, duration_ms, scheme, method,
       remote_addr, ua, body_size, body FROM heartbeats h LEFT JOIN heartbeat_bodies b USING (check_id, received_at, id)`,
  )
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
  assert.deepEqual(
    rows.toSorted(byId),
    kept
      .map((one) => ({ ...one, ...one.sender, checkId: checkIdOf(one) }))
      .map(({ id, checkId, at, kind, exitStatus, rid, scheme, method, remoteAddr, ua, body }) => ({
        ...{ id, check_id: checkId, at: Math.round(at), kind, exit_status: exitStatus, rid, duration_ms: null },
        ...{ scheme, method, remote_addr: remoteAddr, ua, body_size: body?.length ?? 0, body },
      }))
      .toSorted(byId),
  )
})

test('the first heartbeat with an id keeps the id; a second one records nothing of its batch', async (t) => {
  const { url, client, projectId } = await open(t)
  const ids = [crypto.randomUUID(), crypto.randomUUID()] as const
  const settings = { ...defaultSettings, timeoutS: 60, graceS: 60 }
  const state: State = { ...initialState, status: 'up', n: 5, lastPing: base - 1000 }
  await client.transaction(async (tx) => {
    for (const id of ids) {
      await putCheck(tx, { id, projectId, badgeKey: crypto.randomUUID(), createdAt: base, settings }, state)
    }
  })
  const record = (...batch: Received[]) => recordSteady(client, Map.groupBy(batch, checkIdOf))
  const named = (id: string, dedupeKey: string, body: Buffer | null) => success(id, base, { dedupeKey, body })
  await record(named(ids[0], 'a', null), success(ids[0], base), named(ids[1], 'a', Buffer.from('x')))
  const seen = () =>
    sql(
      url,
      `SELECT (SELECT count(*)::int FROM heartbeats) AS kept, (SELECT sum(n)::int FROM checks) AS n,
         (SELECT string_agg(key || ' ' || (check_id = '${ids[0]}'), ', ' ORDER BY check_id = '${ids[0]}') FROM heartbeat_keys) AS keys`,
    )
  const before = [{ kept: 3, n: 13, keys: 'a false, a true' }]
  assert.deepEqual(await seen(), before)
  await assert.rejects(record(named(ids[0], 'b', null), named(ids[1], 'a', null)), { code: '23505' })
  assert.deepEqual(await seen(), before)
})

async function open(t: TestContext) {
  const url = await createDatabase(t)
  const limits = { poolMax: 2, connectTimeoutMs: 5000, statementTimeoutMs: 60_000, idleTimeoutMs: 5000 }
  const hooks = { connectionLost() {}, statement() {}, guard: <T>(work: () => Promise<T>) => work() }
  const client = createClient({ connection: { connectionString: url }, ...limits }, hooks)
  t.after(() => client.close())
  await ensurePartitions({ ...client, clock: { now: () => base } } as unknown as Database, 1)
  const projectId = crypto.randomUUID()
  await sql(url, "INSERT INTO projects (id, name) VALUES ($1, 'test')", [projectId])
  return { url, client, projectId }
}

async function putCheck(tx: Queryable, check: Parameters<typeof insertCheck>[1], state: State): Promise<void> {
  await insertCheck(tx, check)
  const deadline = deadlineOf(rulesOf(check.settings), state, [])
  const [read] = await lockChecks(tx, [check.id])
  assert.ok(read)
  await writeChanges(tx, [{ check: read, state, deadline, lookAt: deadline, unsettled: null, flips: [] }])
}

const caseOf = fc
  .record({
    settings: fc.record({
      kind: fc.constantFrom('simple' as const, 'simple' as const, 'simple' as const, 'cron' as const),
      timeoutS: fc.integer({ min: 1, max: 120 }),
      graceS: fc.integer({ min: 1, max: 60 }),
      methods: fc.constantFrom('', '', '', 'POST'),
      filterHttpBody: fc.constantFrom(false, false, false, true),
      failureThreshold: fc.constantFrom(null, null, 3),
      minRuntimeS: fc.constantFrom(null, 5),
      maxPingsPerMinute: fc.constantFrom(null, null, null, 2),
      manualResume: fc.boolean(),
    }),
    status: fc.constantFrom<State['status'][]>('up', 'up', 'up', 'up', 'down', 'new', 'paused'),
    sinceLastPing: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 200_000 })),
    sinceStart: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.integer({ min: 0, max: 60_000 })),
    openRuns: fc.constantFrom(0, 0, 0, 0, 0, 1),
    failures: fc.constantFrom(0, 0, 1),
    missed: fc.constantFrom(0, 0, 0, 1),
    n: fc.integer({ min: 0, max: 1000 }),
    offsets: fc.array(fc.integer({ min: -3000, max: 3000 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ settings, status, sinceLastPing, sinceStart, openRuns, failures, missed, n, offsets }) => ({
    settings: { ...defaultSettings, ...settings } satisfies Settings,
    state: {
      ...initialState,
      ...{ status, n, failures, missed },
      lastPing: status === 'new' ? null : base - sinceLastPing,
      lastStart: sinceStart === null ? null : base - sinceStart,
      openRuns: openRuns === 0 ? [] : [{ rid: null, at: base - 20_000, watched: false }],
      lastDurationMs: 7,
    } satisfies State,
    offsets: offsets.sort((a, b) => a - b),
  }))

function isPlain(
  { kind, methods, filterHttpBody, maxPingsPerMinute, timeoutS }: Settings,
  state: State,
  offsets: number[],
): boolean {
  const { status, lastStart, openRuns, missed, lastPing } = state
  const simple = kind === 'simple' && methods === '' && !filterHttpBody && maxPingsPerMinute === null
  const isInTime =
    lastPing !== null && lastPing < base + (offsets[0] as number) && base + 3000 < lastPing + timeoutS * 1000
  return simple && isInTime && status === 'up' && lastStart === null && openRuns.length === 0 && missed === 0
}

function success(checkId: string, at: number, given: Parameters<typeof received>[0] = {}): Received {
  return received({ id: heartbeatId(at), at, checkId, ...given })
}

const checkIdOf = ({ target }: Received) => (target.by === 'id' ? target.checkId : '')
