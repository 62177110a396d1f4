// Every shutdown leaves an audit entry with its cause: just before closing, or, if the database does not answer then,
// in a file that the next start on the same DATA_DIR turns into the entry. Nothing here may delay an end, or make it
// fail.

import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { dataDirMode } from '../config/data-dir.ts'
import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { countOrderlyShutdowns, writeShutdown } from './store.ts'

/** `cut` is what ended the process before its shutdown was complete. */
const EndedProcess = Type.Object({
  cause: Type.String(),
  at: Type.String(),
  node: Type.Optional(Type.String()),
  cut: Type.Optional(Type.String()),
})
type EndedProcess = Static<typeof EndedProcess>

export type ShutdownRecord = ReturnType<typeof createShutdownRecord>

const patienceMs = 1000

export function createShutdownRecord(options: {
  database: Database
  dataDir: string
  node: string
  log: { error(o: object, message: string): void }
}) {
  const { database, dataDir, node, log } = options
  const file = join(dataDir, 'last-shutdown.json')
  const describe = (cause: string): EndedProcess => ({ cause, at: new Date().toISOString(), node })

  async function record(ended: EndedProcess): Promise<void> {
    await database.transaction((tx) => writeShutdown(tx, ended))
  }

  async function leave(ended: EndedProcess): Promise<void> {
    await mkdir(dataDir, { recursive: true, mode: dataDirMode })
    await writeFile(file, JSON.stringify(ended), { mode: 0o600 })
  }

  function notWritten(err: unknown, ended: EndedProcess): void {
    log.error(
      { err, event: 'audit.not_written', action: 'service.shutdown', ...ended },
      'a shutdown is not in the audit log',
    )
  }

  return {
    async write(cause: string): Promise<void> {
      const ended = describe(cause)
      await withDeadline(record(ended))
        .catch(() => withDeadline(leave(ended)))
        .catch((err: unknown) => notWritten(err, ended))
    },

    /** For a process that ends now, in the middle of its shutdown. */
    cut(cause: string, how: string): void {
      const ended = { ...describe(cause), cut: how }
      try {
        mkdirSync(dataDir, { recursive: true, mode: dataDirMode })
        writeFileSync(file, JSON.stringify(ended), { mode: 0o600 })
      } catch (err) {
        notWritten(err, ended)
      }
    },

    /** Writes the entry that the last shutdown could not write. */
    async recover(): Promise<void> {
      const left: unknown = await readFile(file, 'utf8')
        .then(JSON.parse)
        .catch(() => null)
      if (!Value.Check(EndedProcess, left) || !Number.isFinite(Date.parse(left.at))) return
      await record(left).catch((error: unknown) => {
        if (isDatabaseAway(error)) throw error
        notWritten(error, left)
      })
      await rm(file, { force: true }).catch(() => undefined)
    },

    /** The orderly shutdowns of all processes on this database, by the reason in the metric. */
    async counts(): Promise<{ reason: string; count: number }[]> {
      const counted = await countOrderlyShutdowns(database)
      return counted.map(({ cause, count }) => ({ reason: cause === 'uncaught error' ? 'error' : cause, count }))
    },
  }
}

async function withDeadline(work: Promise<void>): Promise<void> {
  const late = sleep(patienceMs, undefined, { ref: false }).then(() => {
    throw new Error('no answer in time')
  })
  await Promise.race([work, late])
}
