// Sends heartbeats to the spool while the database is unavailable. Once one is in the spool, all later ones go there
// too until the spool has been replayed; otherwise a success could overtake a failure that was reported before it.
// Under load new heartbeats arrive during every replay: once few are left, new ones go to the database again, and wait
// for those few. A spool accepts heartbeats faster than a database: while more arrive than are replayed, answers are
// delayed, so that the spool empties.

import { AppError } from '../../core/errors.ts'
import type { HeartbeatKind } from '../../core/heartbeat.ts'
import { isDatabaseAway } from '../../kit/availability.ts'
import type { Done } from '../../kit/batcher.ts'
import { encodeRecord, type SpoolRecord } from '../../spool/records.ts'
import type { Backlog, Spool } from '../../spool/spool.ts'
import { addressOf, type Outcome, type Received } from '../signal.ts'
import { problemOf, storable } from '../storable.ts'
import { decodeAll, decodeHeartbeat, recordOf } from './heartbeat-record.ts'
import { createSpoolOwners, type OwnerLookups } from './owners.ts'
import type { Quarantine } from './quarantine.ts'

export type SpoolFailover = ReturnType<typeof createSpoolFailover>

/** What this replica needs from the others. A single replica waits for none and hands its records to none. */
export type Relay = {
  /** Calls `answer` once a spooled heartbeat may be acknowledged. */
  hold: (answer: () => void) => void
  /** Hands records to another replica, and reports to it; true once it has written them into the database. */
  handOver: (records: Buffer) => Promise<boolean>
}

export type SpoolFailoverOptions = OwnerLookups & {
  spool: Spool
  /** Writes heartbeats and skips those that are already stored; rejects if the database cannot be reached. */
  record: (entries: Received[]) => Promise<(Outcome | Error)[]>
  /** Keeps what cannot be recorded; rejects if the database cannot be reached. */
  quarantine: Pick<Quarantine, 'add' | 'addUnfit'>
  /** Rejects while the database does not answer. */
  ping: () => Promise<void>
  count: (kind: HeartbeatKind, outcome: 'spooled' | 'dropped' | 'limited', n: number) => void
  log: { info(o: object, message: string): void; warn(o: object, message: string): void }
}

const replayMax = 500
const replayMaxBytes = 16 * 2 ** 20
/** Later heartbeats wait until no more than this many are left: a few batches. */
const handoverMax = 2000
const listedMax = 100
const stalledAfterMs = 60_000
/** The delay of answers: clients that wait for an answer before they send again then send less often. */
const slowedAnswerMs = 250
/** How long detection waits for a spool while the database answers. */
const patienceMs = 300_000

export function createSpoolFailover({ spool, record, quarantine, ping, count, log, ...lookups }: SpoolFailoverOptions) {
  const owners = createSpoolOwners(lookups)
  // Until the start is done there is no database.
  let active = true
  let since = performance.now()
  /** Set while the rest of the spool is replayed; rejects if that fails. */
  let handover: Promise<void> | null = null
  let others: Relay = { hold: (answer) => answer(), handOver: async () => false }
  // While the database answers: since when the replay has not ended, since when it has failed, and whether the spool grew
  // although a segment was replayed.
  let replayingSince: number | null = null
  let failingSince: number | null = null
  let fallsBehind = false

  const elapsedMs = (from: number | null) => (from === null ? 0 : performance.now() - from)
  const isStalled = () => elapsedMs(failingSince) > stalledAfterMs

  async function step(): Promise<boolean> {
    const before = spool.backlog().records
    if (before > handoverMax) {
      const more = await spool.replay(replaySegment)
      fallsBehind ||= spool.backlog().records >= before
      return more
    }
    await ping()
    handover = empty()
    await handover
    return false
  }

  function push(received: Received, done: Done<Outcome>): boolean {
    return spool.push(recordOf(received), owners.ownerOf(received), (error) => {
      if (error) return done(error)
      count(received.kind, 'spooled', 1)
      const answer = () => done(null, { recorded: received.kind, created: false })
      others.hold(fallsBehind ? () => setTimeout(answer, slowedAnswerMs) : answer)
    })
  }

  /** Records that cannot be written must not block the others. */
  async function replaySegment(records: readonly SpoolRecord[]): Promise<void> {
    const { heartbeats, unreadable } = decodeAll(records)
    const unfit = heartbeats.filter((received) => problemOf(received) !== null)
    await quarantine.addUnfit(unfit, unreadable)
    const isUnfit = new Set(unfit)
    for (const part of partsOf(heartbeats.filter((received) => !isUnfit.has(received)).map(storable))) {
      const outcomes = await record(part)
      await quarantine.add(
        part.flatMap((received, i) => {
          const outcome = outcomes[i]
          return outcome instanceof Error ? [{ received, error: outcome }] : []
        }),
      )
      for (const [i, { kind }] of part.entries()) if (isLimited(outcomes[i])) count(kind, 'limited', 1)
      dropped(part.filter((_, i) => hasNoCheck(outcomes[i])))
    }
  }

  /** Heartbeats without a check, or for a check of another project, which was unknown while the database was unavailable. */
  function dropped(entries: readonly Received[]): void {
    if (entries.length === 0) return
    for (const { kind } of entries) count(kind, 'dropped', 1)
    const addresses = new Set(entries.map(({ target }) => addressOf(target)))
    const line = { event: 'spool.dropped', heartbeats: entries.length, addresses: [...addresses].slice(0, listedMax) }
    log.warn(
      line,
      'heartbeats from the spool have no check that their senders may report to, or no signature, and were dropped',
    )
  }

  function begin(): void {
    if (active) return
    active = true
    since = performance.now()
    log.warn({ event: 'spool.begin' }, 'heartbeats go to the spool until the database has all of them')
  }

  /** Replays the rest of the spool, while nothing is added to it. */
  async function empty(): Promise<void> {
    active = false
    try {
      do await spool.written()
      while (!active && (await spool.replay(replaySegment)))
    } catch (error) {
      active = true
      throw error
    }
    // Heartbeats that waited for too long have gone to the spool meanwhile.
    fallsBehind = active
    if (active) throw new AppError('unavailable', 'heartbeats go to the spool again')
    const seconds = Math.round((performance.now() - since) / 1000)
    log.info({ event: 'spool.end', seconds }, 'the spool is empty: heartbeats go to the database')
  }

  return {
    get active(): boolean {
      return active
    },

    relay(relay: Relay): void {
      others = relay
    },

    push,

    /** For heartbeats that were on their way to the database when it went away. Some may have been stored. */
    divert(entries: readonly Received[], cause: Error): Promise<(Outcome | Error)[]> {
      begin()
      return Promise.all(
        entries.map(
          (received) =>
            new Promise<Outcome | Error>((resolve) => {
              const taken = push(received, (error, outcome) => resolve(error ?? (outcome as Outcome)))
              if (!taken) resolve(cause)
            }),
        ),
      )
    },

    ...{ rememberCheck: owners.rememberCheck, rememberToken: owners.rememberToken },
    lookUpProjects: owners.lookUpProjects,

    /** Resolves when nothing is left that must come before new heartbeats; rejects if something is. */
    async drained(): Promise<void> {
      // Whatever stopped the replay, heartbeats that wait for it go to the spool, too.
      await handover?.catch((cause) => {
        throw new AppError('unavailable', 'heartbeats go to the spool again', { cause })
      })
    },

    /** Replays the spool; true if there may be more. */
    async replay(): Promise<boolean> {
      if (!active) return false
      replayingSince ??= performance.now()
      try {
        const more = await step()
        failingSince = null
        if (!active) replayingSince = null
        return more
      } catch (error) {
        if (!isDatabaseAway(error)) {
          failingSince ??= performance.now()
          throw error
        }
        replayingSince = null
        failingSince = null
        fallsBehind = false
        await handOverSpool(spool, others.handOver)
        return false
      } finally {
        handover = null
      }
    },

    /** The database answers, but the replay has failed for a minute. */
    isStalled,
    stalledMs: (): number => elapsedMs(failingSince),

    /** The receive time of the oldest heartbeat, while its replay can be expected soon; otherwise null. */
    oldestExpected: (): number | null =>
      isStalled() || elapsedMs(replayingSince) > patienceMs ? null : spool.backlog().oldestAt,

    /** Adopts the heartbeats of processes that are gone; returns the ids of those. */
    async maintain(): Promise<string[]> {
      const gone = await spool.maintain()
      if (!spool.isEmpty()) begin()
      return gone
    },
    id: spool.id,
    /** Records the heartbeats of another replica's spool. */
    recordForReplica: replaySegment,
    isEmpty: spool.isEmpty,
    backlog: (): Backlog => spool.backlog(),
    hasRoom: (): boolean => spool.hasRoom(),
    close: () => spool.close(),
  }
}

/**
 * While only this replica cannot reach the database, another one writes the contents of the spool. New heartbeats
 * arrive meanwhile: only as many are handed over as there were at first, so that this replica tries its own database
 * again.
 */
async function handOverSpool(spool: Spool, handOver: Relay['handOver']): Promise<void> {
  let left = spool.backlog().records
  let isTaken = true
  const give = async (records: readonly SpoolRecord[]) => {
    // Unreadable records wait until this replica can put them into the quarantine.
    const areReadable = records.every(({ payload }) => decodeHeartbeat(payload) !== null)
    isTaken = areReadable && (await handOver(Buffer.concat(records.map(encodeRecord))))
    if (!isTaken) throw new AppError('unavailable', 'no other replica reaches the database')
    left -= records.length
  }
  try {
    while (left > 0 && (await spool.replay(give)));
    await handOver(Buffer.alloc(0))
  } catch (error) {
    if (isTaken) throw error
  }
}

/** The records in their order, in parts that are small enough for one transaction. */
function partsOf(records: readonly Received[]): Received[][] {
  const parts: Received[][] = []
  let part: Received[] = []
  let bytes = 0
  for (const received of records) {
    const size = received.body?.length ?? 0
    if (part.length === replayMax || (part.length > 0 && bytes + size > replayMaxBytes)) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(received)
    bytes += size
  }
  return part.length === 0 ? parts : [...parts, part]
}

function isLimited(outcome: Outcome | Error | undefined): boolean {
  return typeof outcome === 'object' && 'limitedForMs' in outcome
}

/** The heartbeat has no check, and none is created for it. */
function hasNoCheck(outcome: Outcome | Error | undefined): boolean {
  if (typeof outcome !== 'object') return outcome === 'unknown' || outcome === 'ambiguous'
  return 'quota' in outcome || 'unsigned' in outcome
}
