import type { BlindWindow } from '../core/blind-time.ts'
import { openWatermark, type WaitLimits, type Watermark, watermarkOf } from '../core/watermark.ts'
import type { Database } from '../database/service.ts'
import * as store from './store.ts'

export type BlindTime = ReturnType<typeof createBlindTime>

/**
 * What a replica reports about itself. `oldestWaiting`: receive time of the oldest heartbeat here that the database
 * does not hold yet; null if there is none.
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
/** While a record is in progress the clock is read this often, to detect that this process stood still. */
const tickMs = 500

/**
 * Keeps the record of when heartbeats could be accepted, the windows in which no replica could, and the instant through
 * which every replica is heard (core/watermark.ts).
 */
export function createBlindTime(options: {
  database: Database
  blindAfterMs: number
  acceptanceIntervalMs: number
  patience: WaitLimits
}) {
  const { database, blindAfterMs, acceptanceIntervalMs, patience } = options
  const { clock } = database
  const { monotonic } = clock
  let windows: readonly BlindWindow[] = []
  /** When the last record began. */
  let recordedAt = Number.NEGATIVE_INFINITY
  /** Until when `windows` is known to be complete. */
  let knownAt = Number.NEGATIVE_INFINITY
  /** How long the last record took, if heartbeats were accepted the whole time since it began. */
  let tookMs = 0
  /** Since when this process has run and refused no heartbeat, and when that was last checked. */
  let ticked = { since: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY }
  let reported = { at: monotonic(), spools: false }
  /** Since when heartbeats have been accepted here, and when that was last known. */
  let accepted = { since: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY }
  let self: SelfReport | null = null
  /** Null until the first read. */
  let peers: readonly store.Peer[] | null = null
  let watermark: Watermark = openWatermark
  /** Until when each frozen replica has certainly acknowledged nothing, by its id. */
  const frozenUntil = new Map<string, number>()
  /** The instant from which on the next record must say that heartbeats were refused. */
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
   * Whether `windows` is complete now: a gap shorter than `blindAfterMs` is not a window. A database that is slow to
   * answer delays the record, but does not make a replica blind, because heartbeats wait for it and are stored. So a
   * record may take as long again as the last one did, until one fails, a heartbeat is refused or this process stands
   * still.
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
      // Heartbeats were refused during this record, so only the next one is current again.
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
    // In operation another replica may be late with a record. At the start, any gap that the records of the others do
    // not fill is one in which no replica ran.
    const starting = recordedAt === Number.NEGATIVE_INFINITY
    // No further back than the last record, by the monotonic clock: if the clock of the database was set, or the
    // machine slept, nothing was accepted in the gap, however long this process had accepted before.
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
    // In parallel, so that a slow database delays the record by its slowest answer and not by the sum.
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

    /** Any number of callers share one record in progress. */
    record(): Promise<void> {
      recording ??= record().finally(() => {
        recording = undefined
      })
      return recording
    },

    /** For times in which no heartbeat can be stored here: reads what the other replicas report, and records nothing. */
    async reportOnly(): Promise<void> {
      await Promise.all([report(monotonic()), refreshWatermark()])
    },

    /**
     * Notes that heartbeats are accepted here, whether or not the database answers. Called at least twice a second
     * while that holds.
     */
    accepted: (): void => accept(monotonic()),

    /**
     * Notes that heartbeats were refused here because of the database: a record in progress does not prove that they
     * were accepted.
     */
    refused(): void {
      ticked = { ...ticked, since: monotonic() }
      tookMs = 0
    },

    /**
     * Notes that no heartbeat received since then, in epoch milliseconds, has been stored here although the database
     * answers.
     */
    closedSince(at: number): void {
      closedSince = Math.min(closedSince, at)
      knownAt = Number.NEGATIVE_INFINITY
    },

    /** Sets what this replica reports with every record from now on. */
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

    /** Notes that a replica is frozen and has acknowledged nothing until `at`, in epoch milliseconds. */
    markFrozen(replicaId: string, at: number): void {
      frozenUntil.set(replicaId, at)
    },

    /** The last record is asked first, because it also answers while the database is away. */
    tokenHashOf: async (replicaId: string): Promise<string | null> =>
      peers?.find(({ id }) => id === replicaId)?.tokenHash ?? store.selectTokenHash(database, replicaId),

    /** The other replicas, as of the last record. */
    peers: (): readonly store.Peer[] => peers ?? [],
    /** Whether there may be other replicas: before the first record that is unknown. */
    mayHavePeers: (): boolean => peers === null || peers.length > 0,

    /** Removes replicas that are gone and have left no heartbeats, or whose heartbeats were taken over. */
    async forget(replicaIds: readonly string[]): Promise<void> {
      await store.forgetReplicas(database, replicaIds)
    },

    /**
     * Whether the windows are recent enough to apply deadlines. After a pause of this process, an outage of the
     * database or a step of its clock they are not, until the gap has been recorded.
     */
    isCurrent,

    /**
     * The instant through which all other replicas are heard, and the replicas that are not waited for any more, as of
     * the last record or refresh.
     */
    watermark: (): Watermark => watermark,
    refreshWatermark,

    /**
     * Up to which instant deadlines are applied when a caller asks for the status of a check: now, unless a replica has
     * not been heard for a while.
     */
    evaluatedUntil: (now: number): number => (watermark.through < now - usualLagMs ? watermark.through : now),
  }
}
