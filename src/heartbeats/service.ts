import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseAway } from '../core/availability.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import { decideKind, type HeartbeatKind, type MailText, type SignalKind } from '../core/heartbeat.ts'
import { rulesOf, type WatchedMonitor } from '../core/monitor.ts'
import { pingLimitPauseMs, pingLimitWindowMs } from '../core/ping-limit.ts'
import { onHeartbeat, onTime } from '../core/status.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import type { Decision, Monitors } from '../monitors/service.ts'
import type { SlugAddress } from '../monitors/slugs.ts'
import type { CausedFlip } from '../monitors/store.ts'
import { createBatcher, type Done } from './batcher.ts'
import { heartbeatId } from './heartbeat-id.ts'
import { insertHeartbeats, type Recorded, selectRecent, selectRecorded } from './store.ts'

/** One signal as it was received; `at` in epoch milliseconds by the database's clock, `id` a uuid v7. */
export type Received = Incoming & { id: string; at: number /** Whether it made its monitor. */; created: boolean }

export type Incoming = {
  /** Empty until its slug has been looked up. */
  monitorId: string
  /** How it was addressed, if not by id. */
  slug: SlugAddress | null
  kind: SignalKind
  exitStatus: number | null
  rid: string | null
  method: string
  scheme: string
  remoteAddr: string
  ua: string
  body: Buffer | null
  /** Its texts, if it is an e-mail. */
  mail: MailText | null
  /** Of the request that carried it, for the flip that it causes. */
  requestId: string
}

/** All but `recorded` mean that nothing was stored: no such monitor, several with this slug, or more than its owner allows just now. */
export type Outcome = { recorded: HeartbeatKind; created: boolean } | { limitedForMs: number } | 'unknown' | 'ambiguous'

export type Heartbeats = ReturnType<typeof createHeartbeats>

/**
 * A batch whose commit failed or whose outcome is unknown is tried again; the ids make that safe. A restart of the database takes a
 * second or two: whoever sent the heartbeat waits so long for its OK, and no longer than a client's usual patience.
 */
const attemptsMax = 3
const retryPauseMs = 100
const holdForMs = 5000
/** Beside its body, about what an entry keeps in memory. */
const entryBytes = 500

export function createHeartbeats(options: {
  database: Database
  monitors: Pick<Monitors, 'change' | 'locate'>
  windows: () => readonly BlindWindow[]
  limits: { queueMaxEntries: number; queueMaxBytes: number; batchMax: number }
  /** `projectId` is empty where it is not known. */
  count: (
    kind: HeartbeatKind,
    outcome: 'recorded' | 'unknown' | 'limited' | 'refused',
    projectId: string,
    n: number,
  ) => void
  observeBatch: (entries: number, seconds: number) => void
  /** Makes the day partitions that are missing. */
  makePartitions: () => Promise<void>
  log: { warn(o: object, message: string): void }
}) {
  const { database, monitors, windows, limits, count, observeBatch } = options
  const { clock } = database
  const batcher = createBatcher<Received, Outcome>({ write: writeBatch, ...limits, inFlightMax: 2 })

  async function writeBatch(entries: Received[]): Promise<(Outcome | Error)[]> {
    const began = clock.monotonic()
    for (let attempt = 1; ; attempt++) {
      try {
        const outcomes = await writeOnce(entries, attempt > 1, await locate(entries))
        observeBatch(entries.length, (clock.monotonic() - began) / 1000)
        return entries.map(({ id }) => outcomes.get(id) ?? 'unknown')
      } catch (error) {
        const waited = clock.now() - (entries[0]?.at ?? 0)
        if (isMissingPartition(error) && attempt < attemptsMax) await options.makePartitions()
        else if (!isDatabaseAway(error)) return isolate(entries, error as Error)
        else if (waited > holdForMs) throw reported(error as Error, entries.length)
        else await sleep(retryPauseMs)
      }
    }
  }

  /** One entry that cannot be stored must not take the others of its batch with it: halves, until it is alone. */
  async function isolate(entries: Received[], error: Error): Promise<(Outcome | Error)[]> {
    if (entries.length === 1) return [reported(error, 1)]
    const middle = entries.length >> 1
    return [...(await writeBatch(entries.slice(0, middle))), ...(await writeBatch(entries.slice(middle)))]
  }

  /** One line for a batch: an outage would otherwise write one for every heartbeat. */
  function reported(err: Error, refused: number): Error {
    options.log.warn({ err, event: 'heartbeat.refused', refused }, 'heartbeats could not be stored')
    return err
  }

  /** Finds the monitors of those that came by slug; returns why some have none. What was found once is kept for the next attempt. */
  async function locate(entries: readonly Received[]): Promise<Map<string, Outcome>> {
    const lost = new Map<string, Outcome>()
    const bySlug = entries.filter(({ slug, monitorId }) => slug !== null && monitorId === '')
    if (bySlug.length === 0) return lost
    const located = await monitors.locate(bySlug.map(({ slug }) => slug as SlugAddress))
    for (const [i, entry] of bySlug.entries()) {
      const found = located[i] ?? 'unknown'
      if (typeof found === 'string') lost.set(entry.id, found)
      else Object.assign(entry, { monitorId: found.id, created: found.created })
    }
    return lost
  }

  /** `lost` are entries without a monitor; with `again` some may be there already. */
  async function writeOnce(
    entries: readonly Received[],
    again: boolean,
    lost: ReadonlyMap<string, Outcome>,
  ): Promise<ReadonlyMap<string, Outcome>> {
    const addressed = lost.size === 0 ? entries : entries.filter(({ id }) => !lost.has(id))
    const byMonitor = Map.groupBy(addressed, ({ monitorId }) => monitorId)
    const outcomes = new Map(lost)
    let projects: ReadonlyMap<string, string> = new Map()
    if (byMonitor.size === 0) return outcomes
    await monitors.change([...byMonitor.keys()], async (locked, tx) => {
      outcomes.clear()
      for (const [id, outcome] of lost) outcomes.set(id, outcome)
      projects = new Map(locked.map(({ id, projectId }) => [id, projectId]))
      const already = again ? await selectRecorded(tx, addressed) : null
      const recent = await recentOf(tx, locked, addressed)
      const decided = locked.map((monitor) => {
        const received = (byMonitor.get(monitor.id) ?? []).filter(({ id }) => !already?.has(id))
        return applyAll(monitor, received, windows(), recent.get(monitor.id) ?? [])
      })
      const rows = decided.flatMap(({ recorded }) => recorded)
      for (const { received, kind } of rows) outcomes.set(received.id, { recorded: kind, created: received.created })
      for (const { limited } of decided) for (const { id, forMs } of limited) outcomes.set(id, { limitedForMs: forMs })
      for (const { id, kind, created } of addressed) if (already?.has(id)) outcomes.set(id, { recorded: kind, created })
      return {
        decisions: decided.filter(({ recorded }) => recorded.length > 0),
        within: () => insertHeartbeats(tx, rows),
      }
    })
    countRecorded(addressed, outcomes, projects)
    return outcomes
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

  /** A call to the metrics for each heartbeat would cost as much as routing it. */
  function countRecorded(
    entries: readonly Received[],
    outcomes: ReadonlyMap<string, Outcome>,
    projects: ReadonlyMap<string, string>,
  ): void {
    const counts = new Map<string, { kind: HeartbeatKind; projectId: string; n: number }>()
    for (const { id, monitorId } of entries) {
      const outcome = outcomes.get(id)
      if (typeof outcome !== 'object' || !('recorded' in outcome)) continue
      const kind = outcome.recorded
      const projectId = projects.get(monitorId) ?? ''
      const known = counts.get(kind + projectId)
      if (known) known.n++
      else counts.set(kind + projectId, { kind, projectId, n: 1 })
    }
    for (const { kind, projectId, n } of counts.values()) count(kind, 'recorded', projectId, n)
  }

  return {
    /**
     * Calls back once the signal is on disk. False if the queue is full: nothing was taken. An error means that nothing was
     * promised: the client must try again.
     */
    receive(incoming: Incoming, done: Done<Outcome>): boolean {
      const at = clock.now()
      const received = { ...incoming, at, id: heartbeatId(at), created: false }
      const taken = batcher.push(received, entryBytes + (incoming.body?.length ?? 0), (error, outcome) => {
        if (error || outcome === undefined) count(incoming.kind, 'refused', '', 1)
        else if (typeof outcome === 'string') count(incoming.kind, 'unknown', '', 1)
        else if ('limitedForMs' in outcome) count(incoming.kind, 'limited', '', 1)
        done(error, outcome)
      })
      if (!taken) count(incoming.kind, 'refused', '', 1)
      return taken
    },
    queueLength: () => batcher.length,
    /** When the heartbeat that has waited longest for the disk was received; null if none waits. */
    oldestWaiting: (): number | null => batcher.oldest()?.at ?? null,
    flush: () => batcher.drained(),
  }
}

/** A day that nobody foresaw, as after a long sleep of the machine: "no partition of relation found for row". */
function isMissingPartition(error: unknown): boolean {
  return (error as { code?: string }).code === '23514'
}

type Applied = Decision & { recorded: Recorded[]; limited: { id: string; forMs: number }[] }

/**
 * Applies a monitor's signals in the order of their receipt, each after what time had done until then. `recent` are the instants of
 * those before them, for a monitor whose owner limits how many may come.
 */
function applyAll(
  monitor: WatchedMonitor,
  received: readonly Received[],
  windows: readonly BlindWindow[],
  recent: readonly number[],
): Applied {
  const { maxPingsPerMinute } = monitor.settings
  const rules = rulesOf(monitor.settings)
  const flips: CausedFlip[] = []
  const recorded: Recorded[] = []
  const limited: Applied['limited'] = []
  let { state } = monitor
  for (const signal of received) {
    const { at, rid, exitStatus, requestId } = signal
    if (maxPingsPerMinute !== null) {
      const forMs = pingLimitPauseMs([...recent, ...recorded.map((row) => row.received.at)], maxPingsPerMinute, at)
      if (forMs > 0) {
        limited.push({ id: signal.id, forMs })
        continue
      }
    }
    const timed = onTime(rules, state, at, windows)
    const kind = decideKind(monitor.settings, timed.state.status, signal)
    const heard = onHeartbeat(rules, timed.state, { kind, at, rid, exitStatus }, windows)
    if (timed.flip) flips.push(timed.flip)
    if (heard.flip) flips.push({ ...heard.flip, requestId })
    state = heard.state
    recorded.push({ received: signal, n: state.n, kind, durationMs: heard.durationMs })
  }
  return { monitor, state, flips, recorded, limited }
}
