// One batch of heartbeats on its way into the database: whose they are, what they mean, and all of it written together.

import type { BlindWindow } from '../core/blind-time.ts'
import type { HeartbeatKind } from '../core/heartbeat.ts'
import type { WatchedMonitor } from '../core/monitor.ts'
import { pingLimitWindowMs } from '../core/ping-limit.ts'
import type { Watermark } from '../core/watermark.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import type { Monitors, Plan } from '../monitors/service.ts'
import type { SlugAddress } from '../monitors/slugs.ts'
import { type Applied, applySignals } from './apply-signals.ts'
import type { BodyAccount } from './bodies.ts'
import { growTotals, openToBodies, type Total } from './bodies-store.ts'
import { contentsOf, createPauses } from './contents.ts'
import { insertKeys, selectKnownKeys } from './keys-store.ts'
import type { Outcome, Received } from './service.ts'
import { takenAtOf } from './spool-record.ts'
import { recordSteady } from './steady-store.ts'
import { insertHeartbeats, selectRecent, selectRecorded } from './store.ts'

/** What has come of the heartbeats of a batch, and how many were recorded of each kind and project. */
type Found = { outcomes: Map<string, Outcome>; counts: { kind: HeartbeatKind; projectId: string; count: number }[] }

/** A heartbeat that was received longer ago may be older than the last flip of a monitor that is up. */
const lateAfterMs = 1000

const recordedSuccess: Outcome = { recorded: 'success', created: false }

type KeyOwner = { projectId: string; kind: 'api_key' | 'api_key_readonly' | 'ping_key'; until: number | null }

/** The projects and kinds of the keys with these hashes, and until when they were valid; unknown hashes have no entry. */
export type OwnersOfKeys = (hashes: readonly string[]) => Promise<ReadonlyMap<string, KeyOwner>>

export function createRecording(options: {
  database: Database
  monitors: Pick<Monitors, 'change' | 'locate' | 'owned' | 'lastFlips'>
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
  const { database, monitors, bodies, isCurrent, windows, count } = options

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
      if (until !== null && takenAtOf(entry) >= until) continue
      if (uploader !== null) entry.uploader = { ...uploader, projectId }
      if (slug !== null) entry.slug = { ...slug, projectId }
    }
  }

  /** Finds the monitors of those that came by slug; returns why some have none. */
  async function locate(entries: readonly Received[]): Promise<Map<string, Outcome>> {
    const lost = new Map<string, Outcome>()
    const unlocated = entries.filter(({ slug, monitorId }) => slug !== null && monitorId === '')
    if (unlocated.length === 0) return lost
    // Their key is unknown (any more), or its kind may not send heartbeats.
    for (const { id, slug } of unlocated) if (slug?.projectId === '') lost.set(id, 'unknown')
    const bySlug = unlocated.filter(({ id }) => !lost.has(id))
    const located = await monitors.locate(bySlug.map(({ slug }) => slug as SlugAddress))
    for (const [i, entry] of bySlug.entries()) {
      const found = located[i] ?? 'unknown'
      if (typeof found === 'string' || 'quota' in found) lost.set(entry.id, found)
      else Object.assign(entry, { monitorId: found.id, created: found.created })
    }
    return lost
  }

  /** Uploads by uuid to monitors that are not their uploaders'. */
  async function strangersOf(entries: readonly Received[]): Promise<Received[]> {
    const byId = entries.filter(({ slug, uploader }) => slug === null && uploader !== null)
    const strangers: Received[] = []
    for (const [projectId, uploaded] of Map.groupBy(byId, ({ uploader }) => uploader?.projectId ?? '')) {
      const ids = [...new Set(uploaded.map(({ monitorId }) => monitorId))]
      const owned = projectId === '' ? new Set() : await monitors.owned(projectId, ids)
      strangers.push(...uploaded.filter(({ monitorId }) => !owned.has(monitorId)))
    }
    return strangers
  }

  /** Those that one statement can record; the rest is returned. */
  async function recordPlain(entries: readonly Received[], found: Found): Promise<readonly Received[]> {
    const blindUntil = windows().at(-1)?.to ?? 0
    const byMonitor = Map.groupBy(entries, ({ monitorId }) => monitorId)
    for (const [monitorId, received] of byMonitor) {
      const isPlain = received.every((signal) => isPlainSuccess(signal) && signal.at >= blindUntil)
      if (!isPlain) byMonitor.delete(monitorId)
    }
    // Asked beforehand, because a name that is known fails the whole statement; one that becomes known meanwhile does.
    const named = [...byMonitor.values()].flat().filter(({ key }) => key !== null)
    for (const { monitorId } of (await repeatedOf(database, named)).values()) byMonitor.delete(monitorId)
    if (byMonitor.size === 0) return entries
    const closed = bodies.closed()
    const { counts, totals, left } = await recordSteady(database, byMonitor, closed)
    bodies.wrote(
      totals,
      [...byMonitor].flatMap(([id, received]) => (left.has(id) ? [] : received)),
      closed,
    )
    for (const { projectId, count } of counts) found.counts.push({ kind: 'success', projectId, count })
    for (const { id, monitorId, created } of entries) {
      if (!byMonitor.has(monitorId) || left.has(monitorId)) continue
      found.outcomes.set(id, created ? { recorded: 'success', created } : recordedSuccess)
    }
    return entries.filter(({ id }) => !found.outcomes.has(id))
  }

  /** With `again` some may be there already. */
  async function decide(entries: readonly Received[], again: boolean, found: Found, limitMs?: number): Promise<void> {
    const byMonitor = Map.groupBy(entries, ({ monitorId }) => monitorId)
    const outcomes = new Map<string, Outcome>()
    const projects = new Map<string, string>()
    let written: { totals: Total[]; entries: Received[] } = { totals: [], entries: [] }
    let closed = openToBodies
    const plan: Plan = async (locked, tx) => {
      outcomes.clear()
      for (const { id, projectId } of locked) projects.set(id, projectId)
      const already = again ? await selectRecorded(tx, entries) : null
      const there = new Set(locked.map(({ id }) => id))
      for (const { id, monitorId } of entries) if (!there.has(monitorId)) outcomes.set(id, 'unknown')
      const named = entries.filter(
        (entry) => entry.key !== null && there.has(entry.monitorId) && !already?.has(entry.id),
      )
      const repeated = await repeatedOf(tx, named)
      const recent = await recentOf(tx, locked, entries)
      const lastFlips = await lastFlipsOf(tx, locked, byMonitor)
      const pause = createPauses()
      const decided: Applied[] = []
      for (const monitor of locked) {
        const received = (byMonitor.get(monitor.id) ?? []).filter(({ id }) => !already?.has(id) && !repeated.has(id))
        const contents = await contentsOf(monitor.settings, received, pause)
        const around = {
          windows: windows(),
          watermark: options.watermark(),
          lastFlipAt: lastFlips.get(monitor.id) ?? null,
          recent: recent.get(monitor.id) ?? [],
          contents,
        }
        decided.push(applySignals(monitor, received.sort(byTime), around))
        await pause()
      }
      const rows = decided.flatMap(({ recorded }) => recorded)
      for (const { received, kind } of rows) outcomes.set(received.id, { recorded: kind, created: received.created })
      for (const { limited } of decided) for (const { id, forMs } of limited) outcomes.set(id, { limitedForMs: forMs })
      for (const id of repeated.keys()) outcomes.set(id, 'duplicate')
      for (const { id, kind, created } of entries) if (already?.has(id)) outcomes.set(id, { recorded: kind, created })
      const keys = rows.flatMap(({ received: { monitorId, key } }) => (key === null ? [] : [{ monitorId, key }]))
      return {
        decisions: decided.filter(({ recorded }) => recorded.length > 0),
        within: async () => {
          closed = bodies.closed()
          const keepsBody = ({ monitorId }: Received) =>
            !closed.checks.has(monitorId) && !closed.projects.includes(projects.get(monitorId) ?? '')
          const [totals] = await Promise.all([
            growTotals(tx, bodyBytesOf(rows.map(({ received }) => received).filter(keepsBody))),
            insertHeartbeats(tx, rows, keepsBody),
            insertKeys(tx, keys),
          ])
          written = { totals, entries: rows.map(({ received }) => received) }
        },
      }
    }
    await monitors.change([...byMonitor.keys()], plan, limitMs)
    bodies.wrote(written.totals, written.entries, closed)
    for (const [id, outcome] of outcomes) found.outcomes.set(id, outcome)
    for (const { id, monitorId } of entries) {
      const outcome = outcomes.get(id)
      if (typeof outcome !== 'object' || !('recorded' in outcome)) continue
      found.counts.push({ kind: outcome.recorded, projectId: projects.get(monitorId) ?? '', count: 1 })
    }
  }

  /** What was recorded within the last minute of those monitors whose owner limits that; for all others nothing is asked. */
  async function recentOf(
    tx: Queryable,
    locked: readonly WatchedMonitor[],
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
    return new Map(
      [...Map.groupBy(rows, ({ monitorId }) => monitorId)].map(([id, its]) => [id, its.map(({ at }) => at)]),
    )
  }

  /** Queried only for heartbeats that may be older than a flip: a new heartbeat of a monitor that is up is not. */
  async function lastFlipsOf(
    tx: Queryable,
    locked: readonly WatchedMonitor[],
    byMonitor: ReadonlyMap<string, readonly Received[]>,
  ): Promise<Map<string, number>> {
    const suspectBefore = database.clock.now() - lateAfterMs
    const suspects = locked.filter(
      ({ id, state }) =>
        state.status !== 'up' ||
        byMonitor.get(id)?.some(({ at }) => at < Math.max(suspectBefore, state.lastPing ?? 0, state.lastStart ?? 0)),
    )
    return monitors.lastFlips(
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

/** Of heartbeats that have names, by their ids, those whose names their monitors have seen before, in the database or among these. */
async function repeatedOf(on: Queryable, named: readonly Received[]): Promise<Map<string, Received>> {
  const nameOf = ({ monitorId, key }: { monitorId: string; key: string | null }) => `${monitorId}/${key}`
  const keys = named.map(({ monitorId, key }) => ({ monitorId, key: key as string }))
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
  for (const { monitorId, body } of entries)
    if (body !== null && body.length > 0) bytes.set(monitorId, (bytes.get(monitorId) ?? 0) + body.length)
  return bytes
}
