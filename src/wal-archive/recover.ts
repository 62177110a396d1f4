// Gets a base backup out of an archive, and the log after it.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { isBefore, isHistory, isWalFile } from '../database/backup/wal.ts'
import { ArchiveError, type BaseBackup } from './archive.ts'
import type { OpenArchive } from './open.ts'

const downloads = 4

/** The newest base backup that had ended at `until`, or the one of this name. */
export function chooseBase(bases: readonly BaseBackup[], { until, name }: { until?: Date; name?: string }): BaseBackup {
  const systems = new Set(bases.map(({ system }) => system))
  if (systems.size > 1 && name === undefined) {
    const list = bases.map((base) => `${base.name} of ${base.system}`).join(', ')
    throw new ArchiveError(`the archive has base backups of several databases: choose one with --base (${list})`)
  }
  const fitting = bases.filter(
    (base) => (name === undefined || base.name === name) && (!until || Date.parse(base.endedAt) <= until.getTime()),
  )
  const base = fitting.at(-1)
  if (base) return base
  throw new ArchiveError(bases.length === 0 ? 'the archive has no base backup' : 'no base backup is old enough')
}

/** Writes the files of a base backup into `dir`, which must be empty. What is damaged leaves nothing there. */
export async function unpackBase({ archive, storage }: OpenArchive, base: BaseBackup, dir: string): Promise<void> {
  await requireEmpty(dir)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  try {
    const hash = createHash('sha256')
    const tar = spawn('tar', ['-x', '--no-same-owner', '-f', '-', '-C', dir], { stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    tar.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 2000)
    })
    const ended = once(tar, 'exit')
    async function* zipped() {
      for await (const chunk of storage.read(archive.baseKey(base.system, base.name))) {
        hash.update(chunk)
        yield chunk
      }
    }
    await pipeline(zipped, createGunzip({ chunkSize: 256 * 1024 }), tar.stdin)
    const [code] = await ended
    if (code !== 0) throw new ArchiveError(`the base backup ${base.name} cannot be unpacked: ${said.trim()}`)
    if (hash.digest('hex') !== base.sha256) throw new ArchiveError(`the base backup ${base.name} is damaged`)
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}

/** Downloads the log from the start of the base backup on, gzipped as it is there. Returns the number of files. */
export async function downloadWal({ archive, storage }: OpenArchive, base: BaseBackup, dir: string): Promise<number> {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const prefix = archive.walPrefix(base.system)
  const names: string[] = []
  for await (const { key } of storage.list(prefix)) {
    const name = key.slice(prefix.length).replace(/\.gz$/, '')
    if (isWalFile(name) && (isHistory(name) || !isBefore(name, base.startSegment))) names.push(name)
  }
  const waiting = names[Symbol.iterator]()
  const workers = Array.from({ length: downloads }, async () => {
    for (const name of waiting) {
      const found = await archive.fetch(base.system, name)
      if (found) await writeFile(join(dir, `${name}.gz`), found.zipped, { mode: 0o600 })
    }
  })
  await Promise.all(workers)
  return names.length
}

async function requireEmpty(dir: string): Promise<void> {
  const entries = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (entries.length > 0) throw new ArchiveError(`${dir} is not empty: move it away, or name another directory`)
}
