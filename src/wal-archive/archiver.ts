// The archive of the embedded database: uploads what PostgreSQL leaves in the outbox, and takes base backups.

import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/load.ts'
import { isWalFile } from '../database/backup/wal.ts'
import { outboxOf } from '../database/embedded/wal-outbox.ts'
import { addressOfRunning } from '../database/offline.ts'
import { readSystem } from './archive.ts'
import { prune, storeBaseBackup } from './base.ts'
import { openArchive } from './open.ts'

type Log = { info(about: object, message: string): void; warn(about: object, message: string): void }

/** Says that the log is complete since a base backup. It goes with the outbox, when archiving is switched off. */
const markerFile = 'complete'
const hourMs = 3_600_000

export function createArchiver({ config, log, signal }: { config: Config; log: Log; signal: AbortSignal }) {
  const { dataDir } = config.server
  const outbox = outboxOf(dataDir)
  const open = openArchive(config, signal)
  let system: string | undefined
  let isFailing = false

  const readOwnSystem = async () => (system ??= await readSystem(join(dataDir, 'postgres')))

  async function waiting(): Promise<string[]> {
    return (await readdir(outbox)).filter(isWalFile).sort()
  }

  async function uploadOne(name: string): Promise<void> {
    const path = join(outbox, name)
    await open.archive.push(await readOwnSystem(), name, await readFile(path))
    await rm(path)
  }

  return {
    /** Uploads what is in the outbox, oldest first. */
    async upload(): Promise<void> {
      try {
        for (const name of await waiting()) await uploadOne(name)
      } catch (error) {
        signal.throwIfAborted()
        if (!isFailing) log.warn({ event: 'archive.failed', err: error }, 'the write-ahead log is not archived')
        isFailing = true
        return
      }
      if (isFailing) log.info({ event: 'archive.back' }, 'the write-ahead log is archived again')
      isFailing = false
    },

    /** Takes a base backup if one is due, and then removes what is old. */
    async keepBase(now: number): Promise<void> {
      const marker = join(outbox, markerFile)
      const isComplete = await stat(marker).then(
        () => true,
        () => false,
      )
      const newest = isComplete ? (await open.archive.bases(await readOwnSystem())).at(-1) : undefined
      if (newest && now - Date.parse(newest.startedAt) < config.backup.baseEveryHours * hourMs) return
      const base = await storeBaseBackup(open, await addressOfRunning(config, 'flatline archive', signal))
      await writeFile(marker, '')
      const removed = await prune(open, { system: base.system, ...config.backup }, now)
      const about = { event: 'archive.base', name: base.name, bytes: base.bytes, removed }
      log.info(about, 'base backup archived')
    },

    /** For how long the oldest file has waited for its upload. */
    async waitingMs(now: number): Promise<number> {
      const [oldest] = await waiting()
      if (oldest === undefined) return 0
      const found = await stat(join(outbox, oldest)).catch(() => undefined)
      return found ? Math.max(0, now - found.mtimeMs) : 0
    },
  }
}
