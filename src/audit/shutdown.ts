// Every shutdown leaves an entry with its cause: just before closing, or, if the database does not answer then, in a file
// that the next start on the same DATA_DIR turns into the entry.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Database } from '../database/service.ts'
import { type AuditEntry, writeAudit } from './store.ts'

const timeoutMs = 1000
const Left = Type.Object({ cause: Type.String(), at: Type.String() })

export function createShutdownRecord(options: { database: Database; dataDir: string }) {
  const { database, dataDir } = options
  const file = join(dataDir, 'last-shutdown.json')
  const entry = (cause: string, at: string): AuditEntry => ({
    actor: 'system',
    action: 'service.shutdown',
    target: 'service',
    detail: { cause, at },
  })

  return {
    async write(cause: string): Promise<void> {
      const at = new Date().toISOString()
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error('too late')), timeoutMs).unref())
      const written = database.transaction((tx) => writeAudit(tx, entry(cause, at)))
      await Promise.race([written, late]).catch(async () => {
        await mkdir(dataDir, { recursive: true })
        await writeFile(file, JSON.stringify({ cause, at }), { mode: 0o600 })
      })
    },

    /** Writes what the last shutdown could not. */
    async recover(): Promise<void> {
      const left = await readFile(file, 'utf8').then(JSON.parse, () => null)
      if (Value.Check(Left, left)) await database.transaction((tx) => writeAudit(tx, entry(left.cause, left.at)))
      await rm(file, { force: true })
    },
  }
}

export type ShutdownRecord = ReturnType<typeof createShutdownRecord>
