import type { BlindWindow } from '../core/blind-time.ts'
import { openWatermark, type Patience, type Watermark, watermarkOf } from '../core/watermark.ts'
import type { Database } from '../database/service.ts'
import * as store from './store.ts'

export type BlindTime = ReturnType<typeof createBlindTime>

/**
 * What a replica reports about itself. `oldestWaiting`: receive time of the oldest heartbeat here that is not in the
 * database; null for none.
 */
export type SelfReport = {
  id: string
  name: string
  canSpool: boolean
  spools: () => boolean
  oldestWaiting: () => number | null
  address: () => string | null
  tokenHash: string | null
}

/** Reports come twice a second, so in normal operation the watermark is no further behind than this. */
const usualLagMs = 2000
/** While a record is under way the clock is read so often, to notice that this process stood still. */
const tickMs = 500

/**
 * Keeps the record of when heartbeats could be accepted, the windows in which no replica could, and the instant through
 * which every replica is heard (core/watermark.ts).
 */
export function createBlindTime(options: {
  database: Database
  blindAfterMs: number
  acceptanceIntervalMs: number
  patience: Patience
}) {
  const { database, blindAfterMs, acceptanceIntervalMs, patience } = options
  const { clock } = database
  const { monotonic } = clock
  let windows: readonly BlindWindow[] = []
  /** When the last record began. */
  let recordedAt = Number.NEGATIVE_INFINITY
  /** Until when `windows` is known to be complete. */
  let knownAt = Number.NEGATIVE_INFINITY
  /** How long the last record took, if heartbeats have been accepted ever since it began. */
  let tookMs = 0
  /** Since when this process has run and has refused no heartbeat, and when that was last checked. */
  let ticked = { since: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY }
  let reported = { at: monotonic(), spools: false }
  /** Heartbeats have been accepted here from then on, and were last known to be. */
  let accepted = { since: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY }
  let self: SelfReport | null = null
  /** Null until they have been read. */
  let peers: readonly store.Peer[] | null = null
  let watermark: Watermark = openWatermark
  /** By the ids of frozen replicas: until when each has certainly acknowledged nothing. */
  const frozenUntil = new Map<string, number>()
  /** From when on the next record is to say that heartbeats were refused. */
  let closedSince = Number.POSITIVE_INFINITY
  let recording: Promise<void> | undefined

  function accept(now: number): void {
    accepted = { since: now - accepted.at > blindAfterMs ? now : accepted.since, at: now }
  }

  function tick(): number {
    const now = monotonic()
    const stoodStill = now - ticked.at > blindAfterMs
    if (stoodStill) tookMs = 0
    ticked = { since: stoodStill ? now : ticked.since, at: now }
    return now
  }

  /**
   * Whether `windows` is complete now: a gap shorter than `blindAfterMs` is no window. A database that is slow to answer delays the record
   * and makes no replica blind, because heartbeats wait for it and are stored. So a record may take again as long as the last one did,
   * until one fails, a heartbeat is refused or this process stands still.
   */
  function isCurrent(): boolean {
    const now = monotonic()
    const isRunning = now - ticked.at <= blindAfterMs
    return now - knownAt < blindAfterMs + (isRunning ? tookMs : 0) && recordedAt >= clock.steppedAt()
  }

  async function record(): Promise<void> {
    const wasAway = !isCurrent()
    const before = tick()
    const ticking = setInterval(tick, tickMs)
    try {
      await recordFrom(before, wasAway)
      accept(before)
      const after = tick()
      const ranOn = ticked.since <= before
      if (ranOn) accepted.at = after
      recordedAt = before
      // Heartbeats were refused while this record was under way: only the next one says so.
      const isComplete = closedSince === Number.POSITIVE_INFINITY
      knownAt = !isComplete ? Number.NEGATIVE_INFINITY : ranOn ? after : before
      tookMs = ranOn ? after - before : 0
    } catch (error) {
      tookMs = 0
      throw error
    } finally {
      clearInterval(ticking)
    }
  }

  async function recordFrom(before: number, wasAway: boolean): Promise<void> {
    // While it runs a replica may be late with a record. At its start any gap that the others' records do not fill is one
    // in which nobody was there.
    const starting = recordedAt === Number.NEGATIVE_INFINITY
    // No further back than the last record, by the monotonic clock: a database whose clock was set since, or a machine that slept, has a gap in
    // which nothing was accepted, however long this process had accepted before.
    const since = Math.max(recordedAt, before - accepted.at > blindAfterMs ? before : accepted.since)
    async function recordWindows(): Promise<void> {
      const closed = closedSince
      if (closed < Number.POSITIVE_INFINITY) await store.recordClosed(database, closed)
      if (closedSince === closed) closedSince = Number.POSITIVE_INFINITY
      await store.recordAcceptance(database, starting ? acceptanceIntervalMs * 1.5 : blindAfterMs, before - since)
      if (wasAway && since < before) await store.correctWindows(database, monotonic() - since)
      windows = await store.selectWindows(database)
      if (windows.some(({ to }) => to > clock.now() + usualLagMs)) windows = await store.cutWindows(database)
    }
    // In parallel, so that a slow database delays the record by its slowest answer and not by the sum of them.
    await Promise.all([recordWindows(), report(before), refreshWatermark()])
  }

  async function report(at: number): Promise<void> {
    if (self === null) return
    const own = reportOf(self)
    await store.reportReplica(database, own)
    reported = { at, spools: own.spools }
  }

  function reportOf({ spools, oldestWaiting, address, ...fixed }: SelfReport): store.Report {
    // The clock is read first, because the oldest heartbeat may be stored while the rest is read.
    const now = clock.now()
    const oldest = oldestWaiting()
    const heardThrough = oldest === null ? now : Math.min(now, oldest - 1)
    return { ...fixed, spools: spools(), heardThrough, address: address() }
  }

  async function refreshWatermark(): Promise<void> {
    if (self === null) return
    const { peers: others, outage } = await store.selectOthers(database, self.id)
    const read = others.map((peer) => ({
      ...peer,
      heardThrough: Math.max(peer.heardThrough, frozenUntil.get(peer.id) ?? 0),
    }))
    for (const id of frozenUntil.keys()) if (!read.some((peer) => peer.id === id)) frozenUntil.delete(id)
    peers = read
    watermark = watermarkOf(read, outage, patience, clock.now())
  }

  return {
    /** Disjoint, sorted, as of the last record. */
    windows: (): readonly BlindWindow[] => windows,

    /** Any number of callers share one record under way. */
    record(): Promise<void> {
      recording ??= record().finally(() => {
        recording = undefined
      })
      return recording
    },

    /** While none can be stored here: the other replicas hear of this one all the same, and it of them. */
    async reportOnly(): Promise<void> {
      await Promise.all([report(monotonic()), refreshWatermark()])
    },

    /** Heartbeats are accepted here, whatever the database does. Called at least twice a second as long as that holds. */
    accepted: (): void => accept(monotonic()),

    /** Heartbeats were refused here because of the database: a record in progress does not mean that they were accepted meanwhile. */
    refused(): void {
      ticked = { ...ticked, since: monotonic() }
      tookMs = 0
    },

    /** No heartbeat has been stored here that arrived since, in epoch milliseconds, although the database answers. */
    closedSince(at: number): void {
      closedSince = Math.min(closedSince, at)
      knownAt = Number.NEGATIVE_INFINITY
    },

    /** What this replica reports with every record from now on. */
    reportAs(report: SelfReport): void {
      self = report
    },

    /** What it would report now; null before `reportAs`. */
    selfReport: (): store.Report | null => self && reportOf(self),

    /** When this replica last reported to others, on the monotonic clock, and whether it reported that it spools. */
    lastReport: (): { at: number; spools: boolean } => reported,

    /** Notes a report that others received from this replica directly. */
    reported(at: number, spools: boolean): void {
      if (at > reported.at) reported = { at, spools }
    },

    /** Writes the report of another replica that cannot reach the database. */
    reportFor: (report: store.ReportFor): Promise<void> => store.reportForReplica(database, report),

    /** A replica is frozen, and has acknowledged nothing until `at`, in epoch milliseconds. */
    markFrozen(replicaId: string, at: number): void {
      frozenUntil.set(replicaId, at)
    },

    /** The last record comes first, because it also answers while the database is away. */
    tokenHashOf: async (replicaId: string): Promise<string | null> =>
      peers?.find(({ id }) => id === replicaId)?.tokenHash ?? store.selectTokenHash(database, replicaId),

    /** The other replicas, as of the last record. */
    peers: (): readonly store.Peer[] => peers ?? [],
    /** Whether there may be others: before the first record nobody can tell. */
    mayHavePeers: (): boolean => peers === null || peers.length > 0,

    /** Replicas that are gone and have left no heartbeats, or whose heartbeats have been taken over. */
    async forget(replicaIds: readonly string[]): Promise<void> {
      await store.forgetReplicas(database, replicaIds)
    },

    /**
     * Whether the windows are recent enough to judge by. After a pause of this process, an outage of the database or a step of its clock
     * they are not, until the gap has been recorded.
     */
    isCurrent,

    /**
     * The instant through which all other replicas are heard, and the replicas that were given up, as of the last
     * record or refresh.
     */
    watermark: (): Watermark => watermark,
    refreshWatermark,

    /**
     * Up to which instant deadlines are applied when people ask for the status of a check: now, unless a replica has
     * not been heard for a while.
     */
    evaluatedUntil: (now: number): number => (watermark.through < now - usualLagMs ? watermark.through : now),
  }
}
