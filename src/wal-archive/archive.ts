// An archive in a bucket. Each database cluster has a part of its own, by the identifier that initdb gave to it, so
// that the archive of another cluster is never overwritten or mixed in:
//   <prefix>/<system>/wal/<name>.gz      a segment or history file
//   <prefix>/<system>/base/<time>.tar.gz  a base backup
//   <prefix>/<system>/base/<time>.json    what it is; written last, so that half a backup is none
//   <prefix>/dumps/flatline-<time>.gz     what `flatline backup s3:` wrote

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { isWalFile } from '../database/backup/wal.ts'
import type { ObjectStorage } from '../object-storage/objects.ts'

const BaseManifest = Type.Object({
  format: Type.Literal(1),
  system: Type.String({ pattern: '^[0-9]{1,20}$' }),
  serverVersion: Type.String(),
  startSegment: Type.String({ pattern: '^[0-9A-F]{24}$' }),
  /** Instants in ISO format; a recovery cannot stop before the end. */
  startedAt: Type.String(),
  endedAt: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})

type BaseManifest = Static<typeof BaseManifest>
/** `name` is the time of its start, as in its object's key. */
export type BaseBackup = BaseManifest & { name: string }

/** PostgreSQL's largest segment is 1 GB; as shipped it is 16 MB. */
const segmentMaxBytes = 2 ** 30
const baseName = /\/base\/(\d{8}T\d{6}Z)\.json$/

export class ArchiveError extends Error {
  override name = 'ArchiveError'
}

export type Archive = ReturnType<typeof createArchive>

export function createArchive({ storage, prefix }: { storage: ObjectStorage; prefix: string }) {
  const walKey = (system: string, name: string) => `${prefix}/${system}/wal/${name}.gz`
  const baseKey = (system: string, name: string) => `${prefix}/${system}/base/${name}.tar.gz`
  const manifestKey = (system: string, name: string) => `${prefix}/${system}/base/${name}.json`

  return {
    walKey,
    baseKey,
    manifestKey,
    walPrefix: (system: string) => `${prefix}/${system}/wal/`,
    dumpPrefix: `${prefix}/dumps/`,

    /** Archiving an identical file again is success; a different one of the same name belongs to another history. */
    async push(system: string, name: string, content: Buffer): Promise<void> {
      if (!isWalFile(name)) throw new ArchiveError(`${name} is not a file of the write-ahead log`)
      const key = walKey(system, name)
      const sha256 = digest(content)
      const there = await storage.head(key)
      if (there?.get('x-amz-meta-sha256') === sha256) return
      if (there) {
        throw new ArchiveError(
          `${key} is there already with other contents: two servers archive into one place; set another BACKUP_S3_PREFIX`,
        )
      }
      await storage.put(key, (await promisify(gzip)(content, { level: 3 })) as Buffer<ArrayBuffer>, { sha256 })
    },

    /** Null if the archive does not have it. */
    async fetch(system: string, name: string): Promise<{ content: Buffer; zipped: Buffer } | null> {
      if (!isWalFile(name)) throw new ArchiveError(`${name} is not a file of the write-ahead log`)
      const key = walKey(system, name)
      const expected = (await storage.head(key))?.get('x-amz-meta-sha256')
      if (expected === undefined) return null
      const chunks = []
      for await (const chunk of storage.read(key)) chunks.push(chunk)
      const zipped = Buffer.concat(chunks)
      const content = await promisify(gunzip)(zipped, { maxOutputLength: segmentMaxBytes })
      if (digest(content) !== expected) throw new ArchiveError(`${key} is damaged`)
      return { content, zipped }
    },

    /** Oldest first; of one system, or of all. */
    async bases(system?: string): Promise<BaseBackup[]> {
      const found: BaseBackup[] = []
      for await (const { key } of storage.list(system === undefined ? `${prefix}/` : `${prefix}/${system}/base/`)) {
        const name = baseName.exec(key)?.[1]
        if (name === undefined) continue
        const chunks = []
        for await (const chunk of storage.read(key)) chunks.push(chunk)
        const manifest: unknown = JSON.parse(Buffer.concat(chunks).toString())
        if (!Value.Check(BaseManifest, manifest)) throw new ArchiveError(`${key} is not a description of a base backup`)
        found.push({ ...manifest, name })
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}

/** The identifier of the cluster in this directory: the first eight bytes of its control file. */
export async function readSystem(dataDirectory: string): Promise<string> {
  const file = await open(join(dataDirectory, 'global/pg_control'))
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(8), position: 0 })
    if (bytesRead < 8) throw new ArchiveError(`${dataDirectory} is not a PostgreSQL cluster`)
    return buffer.readBigUInt64LE().toString()
  } finally {
    await file.close()
  }
}

/** 20261124T020000Z: names sort by time. */
export function nameOfInstant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
