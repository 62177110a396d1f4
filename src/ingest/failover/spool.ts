// Where heartbeats wait on disk while the database is away. What is pushed is appended and synced in groups, like batches for the
// database; what is replayed is read segment by segment, oldest first, and removed only after all of it is in the database. A
// kill in between replays a segment again, which changes nothing, because the database knows each heartbeat by its id.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createBatcher, type Done } from '../../kit/batcher.ts'
import type { Received } from '../service.ts'
import { decodeRecords, encodeRecord, takenAtOf } from './heartbeat-record.ts'
import { ownSpool } from './ownership.ts'
import { createSpoolFiles, findSegments, oldestOf, type Segment } from './segments.ts'

export type SpoolLimits = { maxBytes: number; segmentBytes: number; queueMaxEntries: number }

/** `oldestAt` is when the heartbeat got here that has waited longest for the database, in epoch milliseconds. */
export type Backlog = { records: number; bytes: number; oldestAt: number | null }

export type Spool = Awaited<ReturnType<typeof openSpool>>

type Entry = { received: Received; record: Buffer; owner: SpoolOwner }

/**
 * The owner of a heartbeat. A project may fill its share of the spool; its id is empty if it is only known that there
 * is one. A stranger is a sender whose check or key is not known to exist, and cannot be looked up now.
 */
export type SpoolOwner = { projectId: string; share: number } | { address: string }

/** The share of all strangers, so that made-up addresses cannot fill the spool. */
const unknownShare = 0.1
const groupMax = 2000
const usualBytes = 1000

export async function openSpool(options: {
  /** Where each process has a spool of its own. */
  root: string
  limits: SpoolLimits
  log: { info(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { root, limits, log } = options
  const id = randomUUID()
  const owner = await ownSpool(root, id, (dir, err) =>
    log.error({ err, event: 'spool.stuck', spool: dir }, 'the spool of a process that is gone cannot be taken over'),
  )
  const files = createSpoolFiles(owner.dir, limits.segmentBytes)
  let queuedBytes = 0
  let isWell = true
  let unknownBytes = 0
  const bytesOf = new Map<string, number>()
  const unlisted: string[] = []

  const batcher = createBatcher<Entry, true>({
    write: append,
    queueMaxEntries: limits.queueMaxEntries,
    queueMaxBytes: limits.maxBytes,
    batchMax: groupMax,
    batchMaxBytes: limits.segmentBytes,
    inFlightMax: 1,
    slowMax: 0,
  })

  /**
   * The address of a stranger may hold as much as it leaves to all other strangers (the dynamic threshold of Choudhury
   * and Hahne, 1998): alone it gets half of their room, and later ones still get some, without a fixed share that would
   * be too small for a proxy.
   */
  function hasShare(owner: SpoolOwner, bytes: number): boolean {
    const held = bytesOf.get(nameOf(owner) ?? '') ?? 0
    if ('address' in owner) return held + bytes <= limits.maxBytes * unknownShare - unknownBytes
    return owner.projectId === '' || held + bytes <= limits.maxBytes * owner.share
  }

  async function append(entries: Entry[]): Promise<true[]> {
    const chunk = Buffer.concat(entries.map(({ record }) => record))
    const oldestAt = oldestOf(entries.map(({ received }) => received)) ?? 0
    try {
      await files.append({ chunk, records: entries.length, oldestAt })
      isWell = true
    } catch (err) {
      isWell = false
      for (const { owner, record } of entries) holdFor(owner, -record.length)
      log.error({ err, event: 'spool.failed', refused: entries.length }, 'heartbeats could not be written to the spool')
      throw err
    } finally {
      queuedBytes -= chunk.length
    }
    return entries.map(() => true)
  }

  function holdFor(owner: SpoolOwner, bytes: number): void {
    if ('address' in owner) unknownBytes = Math.max(0, unknownBytes + bytes)
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
        log.error({ event: 'spool.taken', segment: segment.path }, 'another process has taken part of this spool over')
        files.forget(segment)
      } else {
        const aside = await files.setAside(segment)
        log.error(
          { err, event: 'spool.unreadable', segment: aside },
          'a file of the spool cannot be read, and is kept aside',
        )
      }
      return null
    }
  }

  return {
    /** Of this process; its spool has the same name. */
    id,

    /**
     * Calls back once the heartbeat is on disk. False, and nothing is stored, if there is no room or this owner has
     * used up its share.
     */
    push(received: Received, owner: SpoolOwner, done: Done<true>): boolean {
      const record = encodeRecord(received)
      const bytes = record.length
      if (storedBytes() + queuedBytes + bytes > limits.maxBytes) return false
      if (!hasShare(owner, bytes)) return false
      if (!batcher.push({ received, record, owner }, bytes, done)) return false
      queuedBytes += bytes
      holdFor(owner, bytes)
      return true
    },

    /** Resolves when what has been pushed is in a file, or its senders have been told that it is not. */
    written: (): Promise<void> => batcher.drained(),

    /**
     * Hands the records of the oldest segment to `write` and removes the segment when that resolves; false if there was
     * no segment. If `write` rejects the segment stays. A segment that is damaged or cannot be read is moved away.
     */
    async replay(write: (records: Received[], unreadable: Buffer[]) => Promise<void>): Promise<boolean> {
      const segment = await files.oldest()
      if (segment === null) return false
      const bytes = await readSegment(segment)
      if (bytes === null) return true
      const { records, unreadable, damagedBytes, isTorn } = decodeRecords(bytes)
      await write(records, unreadable)
      // The unreadable part may hold acknowledged heartbeats: a later version may have written it, or a person can
      // repair it.
      const kept = damagedBytes > 0 && !isTorn ? await files.setAside(segment) : null
      if (damagedBytes > 0) {
        const line = { event: 'spool.damaged', damagedBytes, segment: segment.path, kept }
        log.error(line, 'part of a spool cannot be read: an unfinished write, or a damaged file, which is kept aside')
      }
      if (kept === null) await files.remove(segment)
      if (files.segments().length === 0) {
        unknownBytes = 0
        bytesOf.clear()
      }
      return true
    },

    /** Nothing waits, neither in a file nor on its way to one. */
    isEmpty: (): boolean => queuedBytes === 0 && files.segments().length === 0,

    /** For one more heartbeat of the usual size. */
    hasRoom: (): boolean => isWell && storedBytes() + queuedBytes + usualBytes <= limits.maxBytes,

    backlog(): Backlog {
      const segments = files.segments()
      const records = segments.reduce((sum, segment) => sum + segment.records, 0)
      const queued = batcher.oldest()
      const oldest = [...segments.map(({ oldestAt }) => oldestAt), ...(queued ? [takenAtOf(queued.received)] : [])]
      return { records, bytes: storedBytes(), oldestAt: oldest.length === 0 ? null : Math.min(...oldest) }
    },

    /** Says that this process lives, looks whether a disk that failed works again, and takes over what others have left behind; returns the ids of those. */
    async tend(): Promise<string[]> {
      await owner.touch()
      if (!isWell) isWell = await files.canWrite()
      const adopted = await owner.adoptAbandoned()
      unlisted.push(...adopted.map(({ dir }) => dir))
      for (const dir of unlisted.splice(0)) await takeOver(dir)
      return adopted.flatMap(({ ownerId }) => ownerId ?? [])
    },

    /** What was pushed is on disk afterwards; the directory goes if nothing is left in it. */
    async close(): Promise<void> {
      await batcher.drained()
      await files.close()
      await owner.release()
    },
  }
}

function nameOf(owner: SpoolOwner): string | null {
  if ('address' in owner) return `address ${owner.address}`
  return owner.projectId === '' ? null : `project ${owner.projectId}`
}
