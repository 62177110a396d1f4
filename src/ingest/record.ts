// Records one batch of heartbeats: finds their checks, then writes the successes that change no status with one statement, and
// decides all others with the state machine in one transaction.

import type { Checks, Plan } from '../checks/service.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import type { WatchedCheck } from '../core/check.ts'
import type { HeartbeatKind } from '../core/heartbeat.ts'
import { pingLimitWindowMs } from '../core/ping-limit.ts'
import type { Watermark } from '../core/watermark.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { Database } from '../database/service.ts'
import { type Applied, applySignals } from './apply-signals.ts'
import { createPauses, kindsByContent } from './content-filters.ts'
import { type DedupeKey, insertKeys, selectKnownKeys } from './dedupe-keys-store.ts'
import type { BodyAccount } from './history/bodies.ts'
import { growTotals, openToBodies, type Total } from './history/bodies-store.ts'
import type { Resolved, Resolver } from './resolve.ts'
import { type ByCheck, type Outcome, projectIdOf, type Received } from './signal.ts'
import type { Verifier } from './signing/verifier.ts'
import { recordSteady } from './steady-store.ts'
import { insertHeartbeats, type Recorded, selectRecent, selectRecorded } from './store.ts'

/** The outcomes of a batch, and how many heartbeats of each kind and project were recorded. */
type RecordedBatch = {
  outcomes: Map<string, Outcome>
  counts: { kind: HeartbeatKind; projectId: string; count: number }[]
}

/** A heartbeat that was received longer ago than this may be older than the last flip of a check that is up. */
const lateAfterMs = 1000

const recordedSuccess: Outcome = { recorded: 'success', created: false }

export function createRecorder(options: {
  database: Database
  checks: Pick<Checks, 'change' | 'lastFlips'>
  resolve: Resolver
  /** Whether `windows` is complete. */
  isCurrent: () => boolean
  windows: () => readonly BlindWindow[]
  /** Until when the database holds all heartbeats that other replicas acknowledged. */
  watermark: () => Watermark
  bodies: BodyAccount
  verify: Verifier
  /** `projectId` is empty if it is not known. */
  count: (kind: HeartbeatKind, projectId: string, n: number) => void
  /** Called for each check that exists, with its project if the sender named it. */
  onExisting: (checkId: string, projectId: string | null) => void
}) {
  const { database, checks, resolve, bodies, isCurrent, windows, count, onExisting } = options

  /** Records the checks whose heartbeats one statement can record; returns the rest. */
  async function recordPlain({ byCheck, isCreator }: Resolved, found: RecordedBatch): Promise<ByCheck> {
    const blindUntil = windows().at(-1)?.to ?? 0
    const isPlain = (signal: Received) => isPlainSuccess(signal) && signal.at >= blindUntil
    const plain = new Map([...byCheck].filter(([, received]) => received.every(isPlain)))
    // Looked up beforehand, because a known key fails the whole statement, and so does one that becomes known
    // meanwhile.
    for (const checkId of (await repeatedOf(database, plain)).values()) plain.delete(checkId)
    if (plain.size === 0) return byCheck
    const closed = bodies.closed()
    const { counts, totals, left } = await recordSteady(database, plain, closed)
    for (const checkId of left) plain.delete(checkId)
    bodies.wrote(totals, plain, closed)
    for (const { projectId, count } of counts) found.counts.push({ kind: 'success', projectId, count })
    for (const received of plain.values())
      for (const one of received)
        found.outcomes.set(one.id, isCreator(one) ? { recorded: 'success', created: true } : recordedSuccess)
    return plain.size === byCheck.size ? none : new Map([...byCheck].filter(([checkId]) => !plain.has(checkId)))
  }

  /** With `again` some may already be stored. */
  async function decide(
    { byCheck, isCreator }: Resolved,
    again: boolean,
    found: RecordedBatch,
    limitMs?: number,
  ): Promise<void> {
    const outcomes = new Map<string, Outcome>()
    const projects = new Map<string, string>()
    let written: { totals: Total[]; byCheck: Map<string, Received[]> } = { totals: [], byCheck: new Map() }
    let closed = openToBodies
    const plan: Plan = async (locked, tx) => {
      outcomes.clear()
      for (const { id, projectId } of locked) projects.set(id, projectId)
      const already = again ? await selectRecorded(tx, byCheck) : new Set()
      const existing = new Map(locked.map(({ id }) => [id, byCheck.get(id) ?? []]))
      for (const [checkId, received] of byCheck)
        if (!existing.has(checkId)) for (const { id } of received) outcomes.set(id, 'unknown')
      const { byCheck: unrecorded, refused } = options.verify(locked, withoutIds(existing, already))
      const repeated = await repeatedOf(tx, unrecorded)
      const recent = await recentOf(tx, locked, byCheck)
      const lastFlips = await lastFlipsOf(tx, locked, byCheck)
      const pause = createPauses()
      const decided: Applied[] = []
      for (const check of locked) {
        const received = (unrecorded.get(check.id) ?? []).filter(({ id }) => !repeated.has(id))
        const contents = await kindsByContent(check.settings, received, pause)
        const context = {
          windows: windows(),
          watermark: options.watermark(),
          lastFlipAt: lastFlips.get(check.id) ?? null,
          recent: recent.get(check.id) ?? [],
          contents,
        }
        decided.push(applySignals(check, received.sort(byTime), context))
        await pause()
      }
      const rows = decided.flatMap(({ recorded }) => recorded)
      for (const { received, kind } of rows) outcomes.set(received.id, { recorded: kind, created: isCreator(received) })
      for (const { limited } of decided) for (const { id, forMs } of limited) outcomes.set(id, { limitedForMs: forMs })
      for (const id of repeated.keys()) outcomes.set(id, 'duplicate')
      for (const [id, rule] of refused) outcomes.set(id, { unsigned: rule })
      for (const one of [...existing.values()].flat())
        if (already.has(one.id)) outcomes.set(one.id, { recorded: one.kind, created: isCreator(one) })
      return {
        decisions: decided.filter(({ recorded }) => recorded.length > 0),
        within: async () => {
          closed = bodies.closed()
          const keepsBody = (checkId: string) =>
            !closed.checks.has(checkId) && !closed.projects.includes(projects.get(checkId) ?? '')
          const [totals] = await Promise.all([
            growTotals(tx, bodyBytesOf(rows, keepsBody)),
            insertHeartbeats(tx, rows, keepsBody),
            insertKeys(tx, dedupeKeysOf(rows)),
          ])
          const recorded = decided.map(
            ({ check, recorded }) => [check.id, recorded.map((row) => row.received)] as const,
          )
          written = { totals, byCheck: new Map(recorded) }
        },
      }
    }
    await checks.change([...byCheck.keys()], plan, limitMs)
    bodies.wrote(written.totals, written.byCheck, closed)
    for (const [id, outcome] of outcomes) found.outcomes.set(id, outcome)
    for (const [checkId, received] of byCheck) {
      for (const { id } of received) {
        const outcome = outcomes.get(id)
        if (typeof outcome !== 'object' || !('recorded' in outcome)) continue
        found.counts.push({ kind: outcome.recorded, projectId: projects.get(checkId) ?? '', count: 1 })
      }
    }
  }

  /** The heartbeats of the last minute, for checks with a ping limit; nothing is queried for the others. */
  async function recentOf(
    tx: Queryable,
    locked: readonly WatchedCheck[],
    byCheck: ByCheck,
  ): Promise<Map<string, number[]>> {
    const limited = locked.filter(({ settings }) => settings.maxPingsPerMinute !== null)
    if (limited.length === 0) return new Map()
    const earliest = Math.min(...[...byCheck.values()].flat().map(({ at }) => at))
    const rows = await selectRecent(
      tx,
      limited.map(({ id, settings }) => ({ id, newest: settings.maxPingsPerMinute as number })),
      earliest - pingLimitWindowMs,
    )
    return new Map([...Map.groupBy(rows, ({ checkId }) => checkId)].map(([id, its]) => [id, its.map(({ at }) => at)]))
  }

  /** Queried only for heartbeats that may be older than a flip: a new heartbeat of a check that is up is not. */
  async function lastFlipsOf(
    tx: Queryable,
    locked: readonly WatchedCheck[],
    byCheck: ByCheck,
  ): Promise<Map<string, number>> {
    const suspectBefore = database.clock.now() - lateAfterMs
    const suspects = locked.filter(
      ({ id, state }) =>
        state.status !== 'up' ||
        byCheck.get(id)?.some(({ at }) => at < Math.max(suspectBefore, state.lastPing ?? 0, state.lastStart ?? 0)),
    )
    return checks.lastFlips(
      tx,
      suspects.map(({ id }) => id),
    )
  }

  /** A call to the metrics for each heartbeat would cost as much as routing it. */
  function countRecorded({ counts }: RecordedBatch): void {
    const sums = new Map<string, RecordedBatch['counts'][number]>()
    for (const one of counts) {
      const key = one.kind + one.projectId
      const sum = sums.get(key)
      if (sum) sum.count += one.count
      else sums.set(key, { ...one })
    }
    for (const { kind, projectId, count: n } of sums.values()) count(kind, projectId, n)
  }

  return {
    /**
     * The outcomes by the heartbeats' ids. With `again` some may be recorded already; `limitMs` is the time limit of
     * each statement that writes.
     */
    async record(
      entries: readonly Received[],
      again: boolean,
      limitMs?: number,
    ): Promise<ReadonlyMap<string, Outcome>> {
      const resolved = await resolve(entries)
      const found: RecordedBatch = { outcomes: resolved.outcomes, counts: [] }
      const rest = again || !isCurrent() ? resolved.byCheck : await recordPlain(resolved, found)
      if (rest.size > 0) await decide({ ...resolved, byCheck: rest }, again, found, limitMs)
      countRecorded(found)
      for (const [checkId, [first]] of resolved.byCheck)
        if (first && found.outcomes.get(first.id) !== 'unknown') onExisting(checkId, projectIdOf(first.target))
      return found.outcomes
    },
  }
}

const none: ByCheck = new Map()

/** The sort is stable: heartbeats of one millisecond keep their order. */
const byTime = (a: Received, b: Received) => a.at - b.at

function isPlainSuccess({ kind, exitStatus, mail }: Received): boolean {
  return kind === 'success' && (exitStatus === null || exitStatus === 0) && mail === null
}

function withoutIds(byCheck: ByCheck, ids: ReadonlySet<unknown>): ByCheck {
  if (ids.size === 0) return byCheck
  return new Map([...byCheck].map(([checkId, received]) => [checkId, received.filter(({ id }) => !ids.has(id))]))
}

/**
 * The ids of heartbeats whose key is known to their check, from the database or from among these, with the id of the
 * check.
 */
async function repeatedOf(on: Queryable, byCheck: ByCheck): Promise<Map<string, string>> {
  const repeated = new Map<string, string>()
  const named = [...byCheck].flatMap(([checkId, received]) =>
    received.flatMap(({ id, dedupeKey }) => (dedupeKey === null ? [] : [{ id, checkId, key: dedupeKey }])),
  )
  if (named.length === 0) return repeated
  const nameOf = ({ checkId, key }: DedupeKey) => `${checkId}/${key}`
  const seen = new Set((await selectKnownKeys(on, named)).map(nameOf))
  for (const entry of named) {
    if (seen.has(nameOf(entry))) repeated.set(entry.id, entry.checkId)
    seen.add(nameOf(entry))
  }
  return repeated
}

function dedupeKeysOf(rows: readonly Recorded[]): DedupeKey[] {
  return rows.flatMap(({ checkId, received: { dedupeKey } }) =>
    dedupeKey === null ? [] : [{ checkId, key: dedupeKey }],
  )
}

/** The bytes of the bodies that are kept, by check. */
function bodyBytesOf(rows: readonly Recorded[], keepsBody: (checkId: string) => boolean): Map<string, number> {
  const bytes = new Map<string, number>()
  for (const { checkId, received } of rows) {
    const length = received.body?.length ?? 0
    if (length > 0 && keepsBody(checkId)) bytes.set(checkId, (bytes.get(checkId) ?? 0) + length)
  }
  return bytes
}
