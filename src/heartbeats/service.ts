import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseAway } from '../core/availability.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import type { HeartbeatKind, MailText, SignalKind } from '../core/heartbeat.ts'
import type { Database } from '../database/service.ts'
import type { Monitors } from '../monitors/service.ts'
import type { SlugAddress } from '../monitors/slugs.ts'
import { createBatcher, type Done } from './batcher.ts'
import { createDiversion } from './diversion.ts'
import { heartbeatId } from './heartbeat-id.ts'
import { createRecording, type ProjectOfKey } from './recording.ts'
import type { Spool } from './spool.ts'

/** One signal as it was received; `at` in epoch milliseconds by the database's clock, `id` a uuid v7. */
export type Received = Omit<Incoming, 'at'> & {
  id: string
  at: number /** Whether it made its monitor. */
  created: boolean
}

/** The project is empty while only the hash of the key is known. */
export type Uploader = { projectId: string; keyHash: string | null }

export type Incoming = {
  /** Empty until its slug has been looked up. */
  monitorId: string
  /** How it was addressed, if not by id; its project is empty while only the hash of the ping key is known. */
  slug: SlugAddress | null
  pingKeyHash: string | null
  /** Who uploaded it, whose monitor it must be; null where the address is the credential. */
  uploader: Uploader | null
  /** What its sender calls it, to be counted once however often it is sent; null for no name. */
  key: string | null
  /** When it was sent, by its sender and within limits, in epoch milliseconds; null for now. */
  at: number | null
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
export type Outcome =
  | { recorded: HeartbeatKind; created: boolean }
  | { limitedForMs: number }
  | 'duplicate'
  | 'unknown'
  | 'ambiguous'

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

export type HeartbeatsOptions = {
  database: Database
  monitors: Pick<Monitors, 'change' | 'locate' | 'owned'>
  /** Null where nothing is accepted without the database. */
  spool: Spool | null
  projectOfKey: ProjectOfKey
  windows: () => readonly BlindWindow[]
  /** Whether `windows` is all there is to know about blind time. */
  isCurrent: () => boolean
  limits: { queueMaxEntries: number; queueMaxBytes: number; batchMax: number; divertAfterMs: number }
  /** `projectId` is empty where it is not known. */
  count: (
    kind: HeartbeatKind,
    outcome: 'recorded' | 'duplicate' | 'unknown' | 'limited' | 'refused' | 'spooled' | 'dropped',
    projectId: string,
    n: number,
  ) => void
  observeBatch: (entries: number, seconds: number) => void
  /** Makes the day partitions of these instants. */
  makePartitions: (instants: number[]) => Promise<void>
  log: { info(o: object, message: string): void; warn(o: object, message: string): void }
}

export function createHeartbeats(options: HeartbeatsOptions) {
  const { database, limits, count, observeBatch } = options
  const { clock } = database
  const recording = createRecording({
    ...options,
    count: (kind, projectId, n) => count(kind, 'recorded', projectId, n),
  })
  const batcher = createBatcher<Received, Outcome>({ write, ...limits, inFlightMax: 2 })
  const diversion =
    options.spool &&
    createDiversion({
      spool: options.spool,
      record: (entries) => writeBatch(entries),
      ping: database.synchronise,
      count: (kind, outcome, n) => count(kind, outcome, '', n),
      log: options.log,
    })

  async function write(entries: Received[]): Promise<(Outcome | Error)[]> {
    if (diversion === null) return writeBatch(entries)
    try {
      return await inTime(
        diversion.handedOver().then(() => writeBatch(entries)),
        limits.divertAfterMs,
      )
    } catch (error) {
      return diversion.divert(entries, error as Error)
    }
  }

  /** With `again` part of it may be recorded already. */
  async function writeBatch(entries: Received[], again = false): Promise<(Outcome | Error)[]> {
    const began = clock.monotonic()
    for (let attempt = 1; ; attempt++) {
      try {
        const outcomes = await recording.record(entries, again || attempt > 1)
        observeBatch(entries.length, (clock.monotonic() - began) / 1000)
        return entries.map(({ id, monitorId }) => {
          const outcome = outcomes.get(id) ?? 'unknown'
          if (outcome !== 'unknown') diversion?.saw(monitorId)
          return outcome
        })
      } catch (error) {
        const waited = clock.now() - (entries[0]?.at ?? 0)
        if (isMissingPartition(error) && attempt < attemptsMax) {
          await options.makePartitions(entries.map(({ at }) => at))
        } else if (isThere(error) && attempt < attemptsMax) {
          // The next attempt asks which of them are.
        } else if (!isDatabaseAway(error)) return isolate(entries, error as Error)
        else if (diversion) throw error
        else if (waited > holdForMs) throw reported(error as Error, entries.length)
        else await sleep(retryPauseMs)
      }
    }
  }

  /** One entry that cannot be stored must not take the others of its batch with it: halves, until it is alone. */
  async function isolate(entries: Received[], error: Error): Promise<(Outcome | Error)[]> {
    if (entries.length === 1) return [reported(error, 1)]
    const middle = entries.length >> 1
    return [...(await writeBatch(entries.slice(0, middle), true)), ...(await writeBatch(entries.slice(middle), true))]
  }

  /** One line for a batch: an outage would otherwise write one for every heartbeat. */
  function reported(err: Error, refused: number): Error {
    options.log.warn({ err, event: 'heartbeat.refused', refused }, 'heartbeats could not be stored')
    return err
  }

  return {
    /**
     * Calls back once the signal is on disk. False if the queue is full: nothing was taken. An error means that nothing was
     * promised: the client must try again.
     */
    receive(incoming: Incoming, done: Done<Outcome>): boolean {
      const at = incoming.at ?? clock.now()
      const received = { ...incoming, at, id: heartbeatId(at), created: false }
      const taken = push(received, (error, outcome) => {
        if (error || outcome === undefined) count(incoming.kind, 'refused', '', 1)
        else if (outcome === 'duplicate') count(incoming.kind, 'duplicate', '', 1)
        else if (typeof outcome === 'string') count(incoming.kind, 'unknown', '', 1)
        else if ('limitedForMs' in outcome) count(incoming.kind, 'limited', '', 1)
        done(error, outcome)
      })
      if (!taken) count(incoming.kind, 'refused', '', 1)
      return taken
    },
    queueLength: () => batcher.length,
    /** Null where there is no spool. */
    diversion,
    /** When the heartbeat was received that has waited longest for the database; null if none waits. */
    oldestWaiting(): number | null {
      const queued = batcher.oldest()?.at ?? null
      const spooled = diversion?.backlog().oldestAt ?? null
      return queued === null || (spooled !== null && spooled < queued) ? spooled : queued
    },
    async flush(): Promise<void> {
      await batcher.drained()
      await diversion?.close()
    },
  }

  function push(received: Received, done: Done<Outcome>): boolean {
    if (diversion?.active) return diversion.push(received, done)
    return batcher.push(received, entryBytes + (received.body?.length ?? 0), done)
  }
}

/** A day that nobody foresaw, as after a long sleep of the machine: "no partition of relation found for row". */
function isMissingPartition(error: unknown): boolean {
  return (error as { code?: string }).code === '23514'
}

/** "Duplicate key value violates unique constraint": a replay that was cut short is repeated, or another was faster. */
function isThere(error: unknown): boolean {
  return (error as { code?: string }).code === '23505'
}

/** What comes later than that changes nothing any more: the database knows each heartbeat by its id. */
function inTime<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the database took too long')), limitMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
