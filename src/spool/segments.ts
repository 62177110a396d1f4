// The files of one spool: a directory of numbered segments that are only appended to, and removed once they have been
// replayed. A record counts as written only after it was synced and if the file is still in place: another process that
// took this one for dead may have adopted the directory, and then it reads what was there at that moment and nothing
// later.

import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeRecords, oldestOf } from './records.ts'

/** `oldestAt` is the earliest time of its records, which may not be that of the first. */
export type Segment = { path: string; bytes: number; records: number; oldestAt: number }

/** Records to be written together. */
export type Group = { chunk: Buffer; records: number; oldestAt: number }

type Active = Segment & { file: FileHandle; inode: number }

const suffix = '.spool'
/**
 * The directory beside the spools for segments that could not be read. It belongs to no process, and is not adopted.
 */
export const unreadableDir = 'unreadable'
const trialBytes = 65_536

export function createSpoolFiles(dir: string, segmentBytes: number) {
  const sealed: Segment[] = []
  let sequence = 0
  let active: Active | null = null

  async function append({ chunk, records, oldestAt }: Group): Promise<void> {
    if (active !== null && active.bytes > 0 && active.bytes + chunk.length > segmentBytes) await seal()
    const segment = active ?? (await begin(oldestAt))
    try {
      await segment.file.appendFile(chunk)
      await segment.file.datasync()
      const { ino } = await stat(segment.path)
      if (ino !== segment.inode) throw new Error('the spool was taken over by another process')
    } catch (error) {
      // Nothing of a failed write may be replayed: its senders were asked to retry.
      await segment.file.truncate(segment.bytes).catch(() => undefined)
      await seal()
      throw error
    }
    segment.bytes += chunk.length
    segment.records += records
    segment.oldestAt = Math.min(segment.oldestAt, oldestAt)
  }

  async function begin(oldestAt: number): Promise<Active> {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const path = join(dir, `${String(++sequence).padStart(10, '0')}${suffix}`)
    const file = await open(path, 'ax', 0o600)
    await syncDirectory(dir)
    active = { path, bytes: 0, records: 0, oldestAt, file, inode: (await file.stat()).ino }
    return active
  }

  async function seal(): Promise<void> {
    if (active === null) return
    const { file, inode: _, ...segment } = active
    active = null
    await file.close()
    if (segment.bytes > 0) sealed.push(segment)
    else await rm(segment.path, { force: true })
  }

  function forget(segment: Segment): void {
    const index = sealed.indexOf(segment)
    if (index !== -1) sealed.splice(index, 1)
  }

  // One operation at a time: a segment must not be sealed in the middle of a write.
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  return {
    /** One write and one sync; rejects if not everything is on disk, and then none of it will be replayed. */
    append: (group: Group) => inTurn(() => append(group)),

    /** The oldest segment. Nothing more will be appended to it. */
    oldest: () =>
      inTurn(async () => {
        if (sealed.length === 0) await seal()
        return sealed[0] ?? null
      }),

    async remove(segment: Segment): Promise<void> {
      await rm(segment.path, { force: true })
      forget(segment)
    },

    forget,

    /** Moves an unreadable segment to where no replay reads it; resolves with its new path. */
    async moveUnreadable(segment: Segment): Promise<string> {
      const target = join(dir, '..', unreadableDir)
      await mkdir(target, { recursive: true, mode: 0o700 })
      const path = join(target, `${basename(dirname(segment.path))}-${basename(segment.path)}`)
      await rename(segment.path, path)
      forget(segment)
      return path
    },

    /** Whether a group of the usual size would fit now. */
    canWrite: () => inTurn(() => tryWriting(join(dir, 'trial'))),

    /** Segments of another process come before those that are written from now on. */
    adopt(segments: readonly Segment[]): void {
      sealed.unshift(...segments)
    },

    /** All segments that have not been removed, the oldest first. */
    segments: (): readonly Segment[] => (active === null ? sealed : [...sealed, active]),

    close: () => inTurn(seal),
  }
}

/**
 * Segments below a directory, in the order of writing: those that its owner had adopted are older than those that it
 * wrote.
 */
export async function findSegments(dir: string): Promise<Segment[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  const inOrder = entries.sort((a, b) => Number(a.isFile()) - Number(b.isFile()) || (a.name < b.name ? -1 : 1))
  const found: Segment[] = []
  for (const entry of inOrder) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) found.push(...(await findSegments(path)))
    else if (entry.name.endsWith(suffix)) found.push(await describe(path))
  }
  return found
}

/** A segment that cannot be read is listed by its name; the replay handles it. */
async function describe(path: string): Promise<Segment> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0))
  const { records } = decodeRecords(bytes)
  const oldestAt = oldestOf(records) ?? Date.now()
  return { path, bytes: bytes.length, records: records.length, oldestAt }
}

async function tryWriting(path: string): Promise<boolean> {
  try {
    await writeFile(path, Buffer.alloc(trialBytes), { mode: 0o600, flush: true })
    return true
  } catch {
    return false
  } finally {
    await rm(path, { force: true }).catch(() => undefined)
  }
}

/** Without this the name of a new file may be lost in a power failure, even if its content was synced. */
async function syncDirectory(dir: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
