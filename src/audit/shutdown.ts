// Every shutdown leaves an entry with its cause: just before closing, or, if the database does not answer then, in a file
// that the next start on the same DATA_DIR turns into the entry.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { isDatabaseAway } from '../core/availability.ts'
import type { Database } from '../database/service.ts'
import { insertShutdownCount, selectShutdownCounts, writeAudit } from './store.ts'

const timeoutMs = 1000
const Left = Type.Object({ cause: Type.String(), at: Type.String() })

export function createShutdownRecord(options: {
  database: Database
  dataDir: string
  node: string
  log: { warn(o: object, message: string): void }
}) {
  const { database, dataDir, node, log } = options
  const file = join(dataDir, 'last-shutdown.json')

  /** The entry and the count are one. */
  async function record(cause: string, at: string): Promise<void> {
    const detail = { cause, at }
    await database.transaction(async (tx) => {
      await writeAudit(tx, { actor: 'system', action: 'service.shutdown', target: 'service', detail })
      await insertShutdownCount(tx, cause === 'uncaught error' ? 'error' : cause, node)
    })
  }

  async function leave(cause: string, at: string): Promise<void> {
    await mkdir(dataDir, { recursive: true })
    await writeFile(file, JSON.stringify({ cause, at }), { mode: 0o600 })
  }

  async function takeUp(): Promise<void> {
    const left = await readFile(file, 'utf8').then(JSON.parse, () => null)
    if (Value.Check(Left, left)) await record(left.cause, left.at)
    await rm(file, { force: true })
  }

  /** A process that cannot say why it stopped must all the same finish what it is at, and one that comes after it must start. */
  function unrecorded(err: Error): void {
    log.warn({ err, event: 'shutdown.unrecorded', file }, 'the cause of a shutdown could not be recorded')
  }

  return {
    async write(cause: string): Promise<void> {
      const at = new Date().toISOString()
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error('too late')), timeoutMs).unref())
      await Promise.race([record(cause, at), late]).catch(() => leave(cause, at).catch(unrecorded))
    },

    /** Writes what the last shutdown could not. */
    async recover(): Promise<void> {
      await takeUp().catch((error: Error) => {
        if (isDatabaseAway(error)) throw error
        unrecorded(error)
      })
    },

    /** Of all processes on this database so far. */
    counts: () => selectShutdownCounts(database),
  }
}

export type ShutdownRecord = ReturnType<typeof createShutdownRecord>
