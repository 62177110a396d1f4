// One batch of heartbeats on its way into the database: whose they are, what they mean, and all of it written together.

import type { Checks, Plan } from '../checks/service.ts'
import type { SlugAddress } from '../checks/slugs.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import type { WatchedCheck } from '../core/check.ts'
import type { HeartbeatKind } from '../core/heartbeat.ts'
import { pingLimitWindowMs } from '../core/ping-limit.ts'
import type { Watermark } from '../core/watermark.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { type Applied, applySignals } from './apply-signals.ts'
import { createPauses, kindsByContent } from './content-filters.ts'
import { insertKeys, selectKnownKeys } from './dedupe-keys-store.ts'
import { acceptedAtOf } from './failover/heartbeat-record.ts'
import type { BodyAccount } from './history/bodies.ts'
import { growTotals, openToBodies, type Total } from './history/bodies-store.ts'
import type { Outcome, Received } from './service.ts'
import { recordSteady } from './steady-store.ts'
import { insertHeartbeats, selectRecent, selectRecorded } from './store.ts'

/** What has come of the heartbeats of a batch, and how many were recorded of each kind and project. */
type Found = { outcomes: Map<string, Outcome>; counts: { kind: HeartbeatKind; projectId: string; count: number }[] }

/** A heartbeat that was received longer ago may be older than the last flip of a check that is up. */
const lateAfterMs = 1000

const recordedSuccess: Outcome = { recorded: 'success', created: false }

type KeyOwner = { projectId: string; kind: 'api_key' | 'api_key_readonly' | 'ping_key'; until: number | null }

/** The projects and kinds of the keys with these hashes, and until when they were valid; unknown hashes have no entry. */
export type OwnersOfKeys = (hashes: readonly string[]) => Promise<ReadonlyMap<string, KeyOwner>>

export function createRecorder(options: {
  database: Database
  checks: Pick<Checks, 'change' | 'locate' | 'owned' | 'lastFlips'>
  ownersOfKeys: OwnersOfKeys
  /** Whether `windows` is all there is to know about blind time. */
  isCurrent: () => boolean
  windows: () => readonly BlindWindow[]
  /** Until when all heartbeats that other replicas acknowledged are in the database. */
  watermark: () => Watermark
  bodies: BodyAccount
  /** `projectId` is empty where it is not known. */
  count: (kind: HeartbeatKind, projectId: string, n: number) => void
}) {
  const { database, checks, bodies, isCurrent, windows, count } = options

  /**
   * Looks up the projects of keys that could not be looked up when their heartbeats arrived. The project of a key that was
   * unknown or no longer valid at that time stays empty.
   */
  async function findProjects(entries: readonly Received[]): Promise<void> {
    const hashes = new Set(entries.flatMap((entry) => unverifiedHash(entry) ?? []))
    if (hashes.size === 0) return
    const owners = await options.ownersOfKeys([...hashes])
    for (const entry of entries) {
      const owner = owners.get(unverifiedHash(entry) ?? '')
      const { slug, uploader } = entry
      if (owner === undefined || !(uploader ? uploadingKinds : pingingKinds).includes(owner.kind)) continue
      const { projectId, until } = owner
      if (until !== null && acceptedAtOf(entry) >= until) continue
      if (uploader !== null) entry.uploader = { ...uploader, projectId }
      if (slug !== null) entry.slug = { ...slug, projectId }
    }
  }

  /** Finds the checks of those that came by slug; returns why some have none. */
  async function locate(entries: readonly Received[]): Promise<Map<string, Outcome>> {
    const lost = new Map<string, Outcome>()
    const unlocated = entries.filter(({ slug, checkId }) => slug !== null && checkId === '')
    if (unlocated.length === 0) return lost
    // Their key is unknown (any more), or its kind may not send heartbeats.
    for (const { id, slug } of unlocated) if (slug?.projectId === '') lost.set(id, 'unknown')
    const bySlug = unlocated.filter(({ id }) => !lost.has(id))
    const located = await checks.locate(bySlug.map(({ slug }) => slug as SlugAddress))
    for (const [i, entry] of bySlug.entries()) {
      const found = located[i] ?? 'unknown'
      if (typeof found === 'string' || 'quota' in found) lost.set(entry.id, found)
      else Object.assign(entry, { checkId: found.id, created: found.created })
    }
    return lost
  }

  /** Uploads by uuid to checks that are not their uploaders'. */
  async function strangersOf(entries: readonly Received[]): Promise<Received[]> {
    const byId = entries.filter(({ slug, uploader }) => slug === null && uploader !== null)
    const strangers: Received[] = []
    for (const [projectId, uploaded] of Map.groupBy(byId, ({ uploader }) => uploader?.projectId ?? '')) {
      const ids = [...new Set(uploaded.map(({ checkId }) => checkId))]
      const owned = projectId === '' ? new Set() : await checks.owned(projectId, ids)
      strangers.push(...uploaded.filter(({ checkId }) => !owned.has(checkId)))
    }
    return strangers
  }

  /** Those that one statement can record; the rest is returned. */
  async function recordPlain(entries: readonly Received[], found: Found): Promise<readonly Received[]> {
    const blindUntil = windows().at(-1)?.to ?? 0
    const byCheck = Map.groupBy(entries, ({ checkId }) => checkId)
    for (const [checkId, received] of byCheck) {
      const isPlain = received.every((signal) => isPlainSuccess(signal) && signal.at >= blindUntil)
      if (!isPlain) byCheck.delete(checkId)
    }
    // Asked beforehand, because a name that is known fails the whole statement; one that becomes known meanwhile does.
    const named = [...byCheck.values()].flat().filter(({ key }) => key !== null)
    for (const { checkId } of (await repeatedOf(database, named)).values()) byCheck.delete(checkId)
    if (byCheck.size === 0) return entries
    const closed = bodies.closed()
    const { counts, totals, left } = await recordSteady(database, byCheck, closed)
    bodies.wrote(
      totals,
      [...byCheck].flatMap(([id, received]) => (left.has(id) ? [] : received)),
      closed,
    )
    for (const { projectId, count } of counts) found.counts.push({ kind: 'success', projectId, count })
    for (const { id, checkId, created } of entries) {
      if (!byCheck.has(checkId) || left.has(checkId)) continue
      found.outcomes.set(id, created ? { recorded: 'success', created } : recordedSuccess)
    }
    return entries.filter(({ id }) => !found.outcomes.has(id))
  }

  /** With `again` some may be there already. */
  async function decide(entries: readonly Received[], again: boolean, found: Found, limitMs?: number): Promise<void> {
    const byCheck = Map.groupBy(entries, ({ checkId }) => checkId)
    const outcomes = new Map<string, Outcome>()
    const projects = new Map<string, string>()
    let written: { totals: Total[]; entries: Received[] } = { totals: [], entries: [] }
    let closed = openToBodies
    const plan: Plan = async (locked, tx) => {
      outcomes.clear()
      for (const { id, projectId } of locked) projects.set(id, projectId)
      const already = again ? await selectRecorded(tx, entries) : null
      const there = new Set(locked.map(({ id }) => id))
      for (const { id, checkId } of entries) if (!there.has(checkId)) outcomes.set(id, 'unknown')
      const named = entries.filter((entry) => entry.key !== null && there.has(entry.checkId) && !already?.has(entry.id))
      const repeated = await repeatedOf(tx, named)
      const recent = await recentOf(tx, locked, entries)
      const lastFlips = await lastFlipsOf(tx, locked, byCheck)
      const pause = createPauses()
      const decided: Applied[] = []
      for (const check of locked) {
        const received = (byCheck.get(check.id) ?? []).filter(({ id }) => !already?.has(id) && !repeated.has(id))
        const contents = await kindsByContent(check.settings, received, pause)
        const around = {
          windows: windows(),
          watermark: options.watermark(),
          lastFlipAt: lastFlips.get(check.id) ?? null,
          recent: recent.get(check.id) ?? [],
          contents,
        }
        decided.push(applySignals(check, received.sort(byTime), around))
        await pause()
      }
      const rows = decided.flatMap(({ recorded }) => recorded)
      for (const { received, kind } of rows) outcomes.set(received.id, { recorded: kind, created: received.created })
      for (const { limited } of decided) for (const { id, forMs } of limited) outcomes.set(id, { limitedForMs: forMs })
      for (const id of repeated.keys()) outcomes.set(id, 'duplicate')
      for (const { id, kind, created } of entries) if (already?.has(id)) outcomes.set(id, { recorded: kind, created })
      const keys = rows.flatMap(({ received: { checkId, key } }) => (key === null ? [] : [{ checkId, key }]))
      return {
        decisions: decided.filter(({ recorded }) => recorded.length > 0),
        within: async () => {
          closed = bodies.closed()
          const keepsBody = ({ checkId }: Received) =>
            !closed.checks.has(checkId) && !closed.projects.includes(projects.get(checkId) ?? '')
          const [totals] = await Promise.all([
            growTotals(tx, bodyBytesOf(rows.map(({ received }) => received).filter(keepsBody))),
            insertHeartbeats(tx, rows, keepsBody),
            insertKeys(tx, keys),
          ])
          written = { totals, entries: rows.map(({ received }) => received) }
        },
      }
    }
    await checks.change([...byCheck.keys()], plan, limitMs)
    bodies.wrote(written.totals, written.entries, closed)
    for (const [id, outcome] of outcomes) found.outcomes.set(id, outcome)
    for (const { id, checkId } of entries) {
      const outcome = outcomes.get(id)
      if (typeof outcome !== 'object' || !('recorded' in outcome)) continue
      found.counts.push({ kind: outcome.recorded, projectId: projects.get(checkId) ?? '', count: 1 })
    }
  }

  /** What was recorded within the last minute of those checks whose owner limits that; for all others nothing is asked. */
  async function recentOf(
    tx: Queryable,
    locked: readonly WatchedCheck[],
    entries: readonly Received[],
  ): Promise<Map<string, number[]>> {
    const limited = locked.filter(({ settings }) => settings.maxPingsPerMinute !== null)
    if (limited.length === 0) return new Map()
    const earliest = Math.min(...entries.map(({ at }) => at))
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
    byCheck: ReadonlyMap<string, readonly Received[]>,
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
  function tell({ counts }: Found): void {
    const sums = new Map<string, Found['counts'][number]>()
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
      await findProjects(entries)
      const found: Found = { outcomes: await locate(entries), counts: [] }
      for (const { id } of await strangersOf(entries)) found.outcomes.set(id, 'unknown')
      let left: readonly Received[] = entries.filter(({ id }) => !found.outcomes.has(id))
      if (!again && isCurrent()) left = await recordPlain(left, found)
      if (left.length > 0) await decide(left, again, found, limitMs)
      tell(found)
      return found.outcomes
    },
  }
}

const uploadingKinds: readonly string[] = ['ping_key', 'api_key']
const pingingKinds: readonly string[] = ['ping_key']

/** The hash of a heartbeat's key, if the owner of the key has not been looked up yet. */
function unverifiedHash({ slug, pingKeyHash, uploader }: Received): string | null {
  if (uploader !== null) return uploader.projectId === '' ? uploader.keyHash : null
  return slug?.projectId === '' ? pingKeyHash : null
}

/** The sort is stable: heartbeats of one millisecond keep their order. */
const byTime = (a: Received, b: Received) => a.at - b.at

function isPlainSuccess({ kind, exitStatus, mail }: Received): boolean {
  return kind === 'success' && (exitStatus === null || exitStatus === 0) && mail === null
}

/** Of heartbeats that have names, by their ids, those whose names their checks have seen before, in the database or among these. */
async function repeatedOf(on: Queryable, named: readonly Received[]): Promise<Map<string, Received>> {
  const nameOf = ({ checkId, key }: { checkId: string; key: string | null }) => `${checkId}/${key}`
  const keys = named.map(({ checkId, key }) => ({ checkId, key: key as string }))
  const seen = new Set((await selectKnownKeys(on, keys)).map(nameOf))
  const repeated = new Map<string, Received>()
  for (const entry of named) {
    if (seen.has(nameOf(entry))) repeated.set(entry.id, entry)
    seen.add(nameOf(entry))
  }
  return repeated
}

/** The bytes of bodies in a batch, by check. */
function bodyBytesOf(entries: readonly Received[]): Map<string, number> {
  const bytes = new Map<string, number>()
  for (const { checkId, body } of entries)
    if (body !== null && body.length > 0) bytes.set(checkId, (bytes.get(checkId) ?? 0) + body.length)
  return bytes
}
