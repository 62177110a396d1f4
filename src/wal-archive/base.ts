// Base backups into an archive, and what makes room there.

import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type ReplicationAddress, takeBaseBackup } from '../database/backup/base-backup.ts'
import { isBefore, isSegment } from '../database/backup/wal.ts'
import type { ObjectStorage } from '../object-storage/objects.ts'
import { type Archive, type BaseBackup, nameOfInstant } from './archive.ts'

const dayMs = 86_400_000

export type Kept = { keep: number; keepDays: number }

/** Copies the running server into the archive. */
export async function storeBaseBackup(
  { archive, storage }: { archive: Archive; storage: ObjectStorage },
  connection: ReplicationAddress,
): Promise<BaseBackup> {
  const startedAt = Date.now()
  const name = nameOfInstant(startedAt)
  return takeBaseBackup(connection, async ({ system, serverVersion, startSegment }, tar) => {
    const zip = createGzip({ level: 3, chunkSize: 256 * 1024 })
    const reading = pipeline(tar, zip)
    reading.catch(() => undefined)
    const { bytes, sha256 } = await storage.upload(archive.baseKey(system, name), zip)
    await reading
    const instants = { startedAt: new Date(startedAt).toISOString(), endedAt: new Date().toISOString() }
    const manifest = { format: 1 as const, system, serverVersion, startSegment, ...instants, bytes, sha256 }
    await storage.put(archive.manifestKey(system, name), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`))
    return { ...manifest, name }
  })
}

/** Those of `items`, oldest first, that are neither new nor among the newest. */
function outdated<Item extends { name: string }>(items: readonly Item[], kept: Kept, now: number): Item[] {
  const limit = nameOfInstant(now - kept.keepDays * dayMs)
  return items.slice(0, -kept.keep).filter(({ name }) => name < limit)
}

/**
 * Removes base backups that are neither new nor among the newest, and the log before the oldest one that stays. History
 * files are small and stay.
 */
export async function prune(
  { archive, storage }: { archive: Archive; storage: ObjectStorage },
  { system, ...kept }: Kept & { system: string },
  now: number,
): Promise<{ bases: number; segments: number }> {
  const bases = await archive.bases(system)
  const old = outdated(bases, kept, now)
  // The description goes first: a base backup without one is none.
  for (const { name } of old) {
    await storage.remove(archive.manifestKey(system, name))
    await storage.remove(archive.baseKey(system, name))
  }
  const oldest = bases.find((base) => !old.includes(base))
  let segments = 0
  if (oldest === undefined) return { bases: old.length, segments }
  const prefix = archive.walPrefix(system)
  for await (const { key } of storage.list(prefix)) {
    const name = key.slice(prefix.length).replace(/\.gz$/, '')
    if (!isSegment(name.slice(0, 24)) || !isBefore(name, oldest.startSegment)) continue
    await storage.remove(key)
    segments++
  }
  return { bases: old.length, segments }
}

/** Removes dumps as `prune` does base backups. */
export async function pruneDumps(
  { archive, storage }: { archive: Archive; storage: ObjectStorage },
  kept: Kept,
  now: number,
): Promise<number> {
  const dumps: { key: string; name: string }[] = []
  for await (const { key } of storage.list(archive.dumpPrefix)) {
    const name = /\/flatline-(\d{8}T\d{6}Z)\.gz$/.exec(key)?.[1]
    if (name) dumps.push({ key, name })
  }
  const old = outdated(dumps, kept, now)
  for (const { key } of old) await storage.remove(key)
  return old.length
}
