// Records that wait on disk until they can be delivered. New records are appended and synced in groups. A replay reads
// segment by segment, oldest first, and removes a segment only after all of its records were delivered. After a kill in
// between a segment is replayed again, so each payload needs an id by which its receiver recognises it. The spool knows
// nothing else about the payloads.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createBatcher, type Done } from '../kit/batcher.ts'
import { claimDirectory } from './ownership.ts'
import { decodeRecords, encodeRecord, oldestOf, type SpoolRecord } from './records.ts'
import { createSpoolFiles, findSegments, type Segment } from './segments.ts'

export type SpoolLimits = { maxBytes: number; segmentBytes: number; queueMaxEntries: number }

/** `oldestAt` is the earliest time of all records, in epoch milliseconds. */
export type Backlog = { records: number; bytes: number; oldestAt: number | null }

export type Spool = Awaited<ReturnType<typeof openSpool>>

type SpoolEntry = { at: number; record: Buffer; owner: RecordOwner }

/**
 * Whose share of the spool a record uses. A known owner may fill its `share`, from 0 to 1; an `id` of null means that
 * the owner is known to exist, but not which one it is. Unknown senders share a small part.
 */
export type RecordOwner = { id: string | null; share: number } | { unknownSender: string }

/** The share of all unknown senders, so that made-up addresses cannot fill the spool. */
const unknownSendersShare = 0.1
const groupMax = 2000
const usualBytes = 1000

export async function openSpool(options: {
  /** The directory in which each process has its own spool. */
  root: string
  /** The mode of the directory above `root`, if it has to be made. */
  parentMode: number
  limits: SpoolLimits
  log: { info(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { root, parentMode, limits, log } = options
  const id = randomUUID()
  const directory = await claimDirectory(root, id, parentMode, (dir, err) =>
    log.error({ err, event: 'spool.stuck', spool: dir }, 'the spool of a process that is gone cannot be taken over'),
  )
  const files = createSpoolFiles(directory.dir, limits.segmentBytes)
  let queuedBytes = 0
  let isWell = true
  let unknownSendersBytes = 0
  const bytesOf = new Map<string, number>()
  const unlisted: string[] = []

  const batcher = createBatcher<SpoolEntry, true>({
    write: append,
    queueMaxEntries: limits.queueMaxEntries,
    queueMaxBytes: limits.maxBytes,
    batchMax: groupMax,
    batchMaxBytes: limits.segmentBytes,
    inFlightMax: 1,
    slowMax: 0,
  })

  /**
   * An unknown sender may hold as much as it leaves to all other unknown ones (the dynamic threshold of Choudhury and
   * Hahne, 1998): alone it gets half of their room, and later ones still get some, without a fixed share that would be
   * too small for a proxy.
   */
  function hasShare(owner: RecordOwner, bytes: number): boolean {
    const held = bytesOf.get(nameOf(owner) ?? '') ?? 0
    if ('unknownSender' in owner) return held + bytes <= limits.maxBytes * unknownSendersShare - unknownSendersBytes
    return owner.id === null || held + bytes <= limits.maxBytes * owner.share
  }

  async function append(entries: SpoolEntry[]): Promise<true[]> {
    const chunk = Buffer.concat(entries.map(({ record }) => record))
    try {
      await files.append({ chunk, records: entries.length, oldestAt: oldestOf(entries) ?? 0 })
      isWell = true
    } catch (err) {
      isWell = false
      for (const { owner, record } of entries) holdFor(owner, -record.length)
      log.error({ err, event: 'spool.failed', refused: entries.length }, 'records could not be written to the spool')
      throw err
    } finally {
      queuedBytes -= chunk.length
    }
    return entries.map(() => true)
  }

  function holdFor(owner: RecordOwner, bytes: number): void {
    if ('unknownSender' in owner) unknownSendersBytes = Math.max(0, unknownSendersBytes + bytes)
    const name = nameOf(owner)
    if (name !== null) bytesOf.set(name, Math.max(0, (bytesOf.get(name) ?? 0) + bytes))
  }

  function storedBytes(): number {
    return files.segments().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** A directory that cannot be read now is retried later. */
  async function takeOver(dir: string): Promise<void> {
    try {
      const segments = await findSegments(dir)
      files.adopt(segments)
      const records = segments.reduce((sum, segment) => sum + segment.records, 0)
      log.info({ event: 'spool.adopted', spool: dir, records }, 'took over the spool of a process that is gone')
    } catch (err) {
      unlisted.push(dir)
      log.error({ err, event: 'spool.unreadable', segment: dir }, 'a directory of the spool cannot be read now')
    }
  }

  /** Null if the segment is gone or cannot be read. */
  async function readSegment(segment: Segment): Promise<Buffer | null> {
    try {
      return await readFile(segment.path)
    } catch (err) {
      // Another process that took this one for dead has moved the files away, and replays them.
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') {
        log.error({ event: 'spool.taken', segment: segment.path }, 'another process has taken over part of this spool')
        files.forget(segment)
      } else {
        const moved = await files.moveUnreadable(segment)
        log.error(
          { err, event: 'spool.unreadable', segment: moved },
          'a file of the spool cannot be read; it is kept in the directory `unreadable`',
        )
      }
      return null
    }
  }

  return {
    /** The id of this process; its spool has the same name. */
    id,

    /**
     * Calls back once the record is on disk. Returns false, and stores nothing, if there is no room or this owner has
     * used up its share.
     */
    push(record: SpoolRecord, owner: RecordOwner, done: Done<true>): boolean {
      const encoded = encodeRecord(record)
      const bytes = encoded.length
      if (storedBytes() + queuedBytes + bytes > limits.maxBytes) return false
      if (!hasShare(owner, bytes)) return false
      if (!batcher.push({ at: record.at, record: encoded, owner }, bytes, done)) return false
      queuedBytes += bytes
      holdFor(owner, bytes)
      return true
    },

    /** Resolves when each record that was pushed is in a file or its push has failed. */
    written: (): Promise<void> => batcher.drained(),

    /**
     * Calls `deliver` with the records of the oldest segment and removes the segment when that resolves; false if there
     * was no segment. If `deliver` rejects, the segment stays. A segment that is damaged or cannot be read is moved
     * away.
     */
    async replay(deliver: (records: SpoolRecord[]) => Promise<void>): Promise<boolean> {
      const segment = await files.oldest()
      if (segment === null) return false
      const bytes = await readSegment(segment)
      if (bytes === null) return true
      const { records, damagedBytes, isTorn } = decodeRecords(bytes)
      await deliver(records)
      // The unreadable part may hold acknowledged records: a later version may have written it, or a person can
      // repair it.
      const kept = damagedBytes > 0 && !isTorn ? await files.moveUnreadable(segment) : null
      if (damagedBytes > 0) {
        const line = { event: 'spool.damaged', damagedBytes, segment: segment.path, kept }
        log.error(line, 'part of a spool cannot be read: an unfinished write, or a damaged file, which is kept')
      }
      if (kept === null) await files.remove(segment)
      if (files.segments().length === 0) {
        unknownSendersBytes = 0
        bytesOf.clear()
      }
      return true
    },

    /** Whether no record waits, neither in a file nor on its way to one. */
    isEmpty: (): boolean => queuedBytes === 0 && files.segments().length === 0,

    /** Whether there is room for one more record of the usual size. */
    hasRoom: (): boolean => isWell && storedBytes() + queuedBytes + usualBytes <= limits.maxBytes,

    backlog(): Backlog {
      const segments = files.segments()
      const records = segments.reduce((sum, segment) => sum + segment.records, 0)
      const queued = batcher.oldest()
      const oldest = [...segments.map(({ oldestAt }) => oldestAt), ...(queued ? [queued.at] : [])]
      return { records, bytes: storedBytes(), oldestAt: oldest.length === 0 ? null : Math.min(...oldest) }
    },

    /**
     * Shows that this process is alive, retries a disk that failed, and adopts the spools of processes that are gone;
     * returns the ids of those.
     */
    async maintain(): Promise<string[]> {
      await directory.touch()
      if (!isWell) isWell = await files.canWrite()
      const adopted = await directory.adoptAbandoned()
      unlisted.push(...adopted.map(({ dir }) => dir))
      for (const dir of unlisted.splice(0)) await takeOver(dir)
      return adopted.flatMap(({ ownerId }) => ownerId ?? [])
    },

    /** Afterwards all pushed records are on disk; the directory is removed if it is empty. */
    async close(): Promise<void> {
      await batcher.drained()
      await files.close()
      await directory.release()
    },
  }
}

function nameOf(owner: RecordOwner): string | null {
  if ('unknownSender' in owner) return `unknownSender ${owner.unknownSender}`
  return owner.id === null ? null : `owner ${owner.id}`
}
