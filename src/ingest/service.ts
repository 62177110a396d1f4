import { setTimeout as sleep } from 'node:timers/promises'
import type { WriteAudit } from '../audit/store.ts'
import type { Checks } from '../checks/service.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import { AppError } from '../core/errors.ts'
import type { HeartbeatKind } from '../core/heartbeat.ts'
import type { Watermark } from '../core/watermark.ts'
import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { createBatcher, type Done } from '../kit/batcher.ts'
import { decodeRecords } from '../spool/records.ts'
import type { Spool } from '../spool/spool.ts'
import { createQuarantine } from './failover/quarantine.ts'
import { createSpoolFailover, type SpoolFailover, type SpoolFailoverOptions } from './failover/spool-failover.ts'
import { createWriteProbe } from './failover/write-probe.ts'
import { heartbeatId } from './heartbeat-id.ts'
import type { BodyAccount } from './history/bodies.ts'
import { createRecorder } from './record.ts'
import { createResolver, type OwnersOfKeys } from './resolve.ts'
import type { HeartbeatOutcome, Outcome, Received, Signal } from './signal.ts'
import type { Verifier } from './signing/verifier.ts'
import { storable } from './storable.ts'
import { withDeadline } from './with-deadline.ts'
import { createBatchWriter } from './write-batch.ts'

export type Heartbeats = ReturnType<typeof createHeartbeats>

/**
 * A batch whose commit failed or whose outcome is unknown is retried; the ids make that safe. A restart of the database
 * takes a second or two: the client waits that long for its OK, which is not longer than the usual time-out of clients.
 */
const retryPauseMs = 100
const holdForMs = 5000
/** The limit of the bodies in one statement, unless a single one is larger. */
const batchMaxBytes = 16 * 2 ** 20
/** The approximate memory of an entry beside its body. */
const entryBytes = 500

export type HeartbeatsOptions = {
  database: Database
  checks: Pick<Checks, 'change' | 'locate' | 'locateTokens' | 'owned' | 'projectsOf' | 'lastFlips'>
  /** Null if nothing is accepted without the database. */
  spool: Spool | null
  ownersOfKeys: OwnersOfKeys
  writeAudit: WriteAudit
  quarantineMaxEntries: number
  spoolOwners: Pick<SpoolFailoverOptions, 'shareOf' | 'projectOfKey'>
  /** Keeps bodies within their quotas. */
  bodies: BodyAccount
  /** Refuses heartbeats without the signature that their check requires. */
  verify: Verifier
  windows: () => readonly BlindWindow[]
  /** Whether `windows` is complete. */
  isCurrent: () => boolean
  /** The instant through which the database holds all heartbeats that other replicas acknowledged. */
  watermark: () => Watermark
  /** Called when heartbeats that arrived at this instant were refused, and none has been stored since. */
  onClosed: (since: number) => void
  /** Called when heartbeats were refused because of the database. */
  onRefused: () => void
  limits: { queueMaxEntries: number; queueMaxBytes: number; batchMax: number; divertAfterMs: number }
  /** `projectId` is empty where it is not known. */
  count: (kind: HeartbeatKind, outcome: HeartbeatOutcome, projectId: string, n: number) => void
  observeBatch: (entries: number, seconds: number, written: boolean) => void
  /** Runs the write of a batch as a span of the requests that it belongs to. */
  traced: (entries: readonly Received[], write: () => Promise<(Outcome | Error)[]>) => Promise<(Outcome | Error)[]>
  /** Creates the day partitions of these instants. */
  makePartitions: (instants: number[]) => Promise<void>
  log: {
    info(o: object, message: string): void
    warn(o: object, message: string): void
    error(o: object, message: string): void
  }
}

export function createHeartbeats(options: HeartbeatsOptions) {
  const { database, limits, count, observeBatch } = options
  const { clock } = database
  const writer = writerOf(options, () => failover)
  const batcher = createBatcher<Received, Outcome>({ write, ...limits, batchMaxBytes, inFlightMax: 2, slowMax: 6 })
  const countSpooled = (kind: HeartbeatKind, outcome: HeartbeatOutcome, n: number) => count(kind, outcome, '', n)
  const quarantine = createQuarantine({
    ...options,
    entriesMax: options.quarantineMaxEntries,
    write: (entries) => writer.write(entries, { again: true, isPatient: true }),
    count: countSpooled,
  })
  const failover =
    options.spool &&
    createSpoolFailover({
      spool: options.spool,
      ...options.spoolOwners,
      projectsOf: options.checks.projectsOf,
      record: (entries) => writeBatch(entries, { again: true, isPatient: true }),
      ...{ quarantine, ping: database.synchronise, count: countSpooled, log: options.log },
    })
  const writeProbe = createWriteProbe(options)

  async function write(entries: Received[]): Promise<(Outcome | Error)[]> {
    if (failover === null) return writeLive(entries)
    try {
      return await withDeadline(
        failover.drained().then(() => writeLive(entries)),
        limits.divertAfterMs,
      )
    } catch (error) {
      if (isDatabaseAway(error)) return failover.divert(entries, error as Error)
      throw reported(error as Error, entries.length)
    }
  }

  /** Without a spool, heartbeats wait for a database that is only restarting. */
  async function writeLive(entries: Received[]): Promise<(Outcome | Error)[]> {
    for (let again = false; ; again = true) {
      try {
        const results = await writeBatch(entries, { again, isPatient: false })
        const refused = results.filter((result) => result instanceof Error)
        if (refused[0] !== undefined) reported(refused[0], refused.length)
        return results
      } catch (error) {
        if (failover) throw error
        const waited = clock.now() - (entries[0]?.at ?? 0)
        if (!isDatabaseAway(error) || waited > holdForMs) throw reported(error as Error, entries.length)
        await sleep(retryPauseMs)
      }
    }
  }

  async function writeBatch(
    entries: Received[],
    how: { again: boolean; isPatient: boolean },
  ): Promise<(Outcome | Error)[]> {
    const began = clock.monotonic()
    let written = false
    try {
      const results = await options.traced(entries, () => writer.write(entries, how))
      written = true
      return results
    } finally {
      observeBatch(entries.length, (clock.monotonic() - began) / 1000, written)
    }
  }

  /** One line per batch: otherwise an outage would write one for every heartbeat. */
  function reported(err: Error, refused: number): Error {
    if (isDatabaseAway(err)) options.onRefused()
    options.log.warn({ err, event: 'heartbeat.refused', refused }, 'heartbeats could not be stored')
    return err
  }

  return {
    /**
     * Calls back once the signal is on disk. False if the queue is full: nothing was taken. An error means that nothing
     * was stored: the client must try again. Throws `bad_request` for a value that its column cannot hold.
     */
    receive(signal: Signal, done: Done<Outcome>): boolean {
      const now = clock.now()
      const received = storable(accept(signal, now))
      const taken = push(received, watched(received, done))
      if (!taken) count(signal.kind, 'refused', '', 1)
      return taken
    },
    queueLength: () => batcher.length,
    /** Whether heartbeats can be stored, as far as the last ones show. */
    isTaking: writeProbe.isOpen,
    /** Null where there is no spool. */
    failover,
    quarantine,
    /**
     * When the heartbeat that has waited longest for the database was accepted; null if none waits. The rest of a
     * replay without progress does not count: detection must not wait for it.
     */
    oldestWaiting: () =>
      earlier(writeProbe.suspectedSince(), earlier(acceptedAtOf(batcher.oldest()), failover?.oldestExpected() ?? null)),
    /** The same for all heartbeats that are not in the database yet. */
    oldestUnrecorded: () => earlier(acceptedAtOf(batcher.oldest()), failover?.backlog().oldestAt ?? null),
    /** Records the heartbeats of another replica's spool; rejects if they cannot be written now. */
    async recordSpooled(bytes: Buffer): Promise<void> {
      if (failover === null) throw new AppError('unavailable', 'this replica has no spool')
      await failover.recordForReplica(decodeRecords(bytes).records)
    },
    async flush(): Promise<void> {
      await batcher.drained()
      await failover?.close()
    },
  }

  /** Counts the outcome of the heartbeat, and reports to the probe whether heartbeats can be stored. */
  function watched({ kind, acceptedAt }: Received, done: Done<Outcome>): Done<Outcome> {
    const since = clock.monotonic()
    return (error, outcome) => {
      if (error) writeProbe.refused(error, since, acceptedAt)
      else if (isStored(outcome)) writeProbe.stored()
      const counted = countedAs(error, outcome)
      if (counted !== null) count(kind, counted, '', 1)
      done(error, outcome)
    }
  }

  function push(received: Received, done: Done<Outcome>): boolean {
    if (failover?.active) return failover.push(received, done)
    return batcher.push(received, entryBytes + (received.body?.length ?? 0), done)
  }
}

/** The failover is created after the writer, and remembers what the writer finds. */
function writerOf(options: HeartbeatsOptions, failover: () => SpoolFailover | null) {
  const { record } = createRecorder({
    ...options,
    resolve: createResolver({
      ...options,
      onToken: (token, projectId) => failover()?.rememberToken(token, projectId),
    }),
    count: (kind, id, n) => options.count(kind, 'recorded', id, n),
    onExisting: (checkId, projectId) => failover()?.rememberCheck(checkId, projectId),
  })
  return createBatchWriter({ ...options, record, projectsOf: options.checks.projectsOf })
}

/** Null for heartbeats that are counted when they are recorded. */
function countedAs(error: Error | null, outcome: Outcome | undefined): HeartbeatOutcome | null {
  if (error || outcome === undefined) return 'refused'
  if (typeof outcome === 'string') return outcome === 'duplicate' ? 'duplicate' : 'unknown'
  if ('unsigned' in outcome) return 'unsigned'
  return 'limitedForMs' in outcome || 'quota' in outcome ? 'limited' : null
}

function accept(signal: Signal, now: number): Received {
  const { target, kind, exitStatus, rid, dedupeKey, body, mail, sender, requestId, signature = null } = signal
  const at = Math.min(signal.sentAt ?? now, now)
  const id = heartbeatId(at)
  const content = { target, kind, exitStatus, rid, dedupeKey, body, mail, sender, requestId, signature }
  return { id, at, acceptedAt: now, ...content }
}

function acceptedAtOf(received: Received | undefined): number | null {
  return received?.acceptedAt ?? null
}

function isStored(outcome: Outcome | undefined): boolean {
  return outcome === 'duplicate' || (typeof outcome === 'object' && 'recorded' in outcome)
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b < a) ? b : a
}
