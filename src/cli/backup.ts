// `flatline backup FILE`: works while the service runs, on its database, or on the embedded database of a stopped
// service.

import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { createGzip } from 'node:zlib'
import { localKeyFile } from '../channels/secrets/encryption.ts'
import { type Config, loadConfig, version } from '../config/load.ts'
import { type BackupSummary, takeBackup } from '../database/backup/write.ts'
import { openToRead } from '../database/offline.ts'
import { nameOfInstant } from '../wal-archive/archive.ts'
import { pruneDumps } from '../wal-archive/base.ts'
import { openArchive } from '../wal-archive/open.ts'
import { interruptible } from './interruption.ts'
import { requireNewName, writeNewFile } from './new-file.ts'
import { quietLog } from './quiet-log.ts'

const inBucket = 's3:'

/** Level 6 takes twice the time and saves a tenth of the size. */
const compression = { level: 3, chunkSize: 256 * 1024 }

export async function backup(args: string[]): Promise<void> {
  const file = parseFile(args)
  const config = loadConfig()
  await interruptible((signal) => write(file, config, signal))
  const key = localKeyFile(config.server.dataDir)
  if (config.security.encryptionKey !== undefined || !existsSync(key)) return
  console.error(`keep a copy of ${key} elsewhere: without it the settings of channels in a backup cannot be read`)
}

async function write(file: string, config: Config, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  const database = await openToRead({ config, log: quietLog, name: 'flatline backup', signal })
  try {
    let summary: BackupSummary | undefined
    const text = takeBackup(database.client, version, (result) => {
      summary = result
    })
    if (file === inBucket) await writeToBucket([text, createGzip(compression)], config, signal)
    else if (file === '-') await pipeline(text, createGzip(compression), process.stdout, { signal, end: false })
    else await writeNewFile(file, [text, createGzip(compression)], signal)
    if (summary) report(file, summary, performance.now() - began)
  } finally {
    await database.close()
  }
}

/** The storage joins the parts when all have arrived, so that half a backup is none. */
async function writeToBucket(
  [text, zip]: [AsyncIterable<Buffer>, ReturnType<typeof createGzip>],
  config: Config,
  signal: AbortSignal,
): Promise<void> {
  const open = openArchive(config, signal)
  const name = generatedName()
  const zipping = pipeline(text, zip, { signal })
  zipping.catch(() => undefined)
  await open.storage.upload(`${open.archive.dumpPrefix}${name}`, zip)
  await zipping
  const removed = await pruneDumps(open, config.backup, Date.now())
  console.error(`uploaded as s3:${name}; older ones removed: ${removed}`)
}

function parseFile(args: string[]): string {
  const [file, ...rest] = parseArgs({ args, allowPositionals: true }).positionals
  if (file === undefined || rest.length > 0)
    throw new Error('name one file to write, a directory for it, - for standard output, or s3: for the bucket')
  if (file === inBucket) return file
  if (file === '-') {
    if (process.stdout.isTTY) throw new Error('a backup cannot be printed to a terminal: name a file')
    return file
  }
  const named = statSync(file, { throwIfNoEntry: false })?.isDirectory() ? join(file, generatedName()) : file
  requireNewName(named)
  return named
}

/** A file name, which cron and containers without a shell cannot build themselves. */
function generatedName(): string {
  return `flatline-${nameOfInstant(Date.now())}.gz`
}

function report(file: string, { header, rows }: BackupSummary, ms: number): void {
  const where = file === '-' ? '' : ` to ${file}`
  const what = `${rows} rows of ${header.tables.length} tables, as of ${header.at}, migration ${header.migration}`
  console.error(`backed up ${what}${where} in ${(ms / 1000).toFixed(1)} s`)
}
