// `flatline restore FILE`: into an empty database, or over existing data if an option says so. All or nothing.

import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { createGunzip } from 'node:zlib'
import { writeAudit } from '../audit/store.ts'
import { countByKey } from '../channels/channels-store.ts'
import { existingKeys, keyId } from '../channels/secrets/encryption.ts'
import { type Config, loadConfig } from '../config/load.ts'
import { BackupFileError, readBackup } from '../database/backup/format.ts'
import { restoreBackup } from '../database/backup/restore.ts'
import type { Queryable } from '../database/connection/client.ts'
import { readMigrations } from '../database/migrate.ts'
import { openAlone, queryableOf } from '../database/offline.ts'
import { openArchive } from '../wal-archive/open.ts'
import { interruptible } from './interruption.ts'
import { quietLog } from './quiet-log.ts'

export async function restore(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { replace: { type: 'boolean', default: false }, verify: { type: 'boolean', default: false } },
  })
  const [named, ...rest] = positionals
  if (named === undefined || rest.length > 0)
    throw new Error('name one file to read, - for standard input, or s3:NAME or s3:latest')
  const config = loadConfig()
  await interruptible(async (signal) => {
    const file = await resolveLatest(named, config, signal)
    // Checks the whole file first, so that damage at its end does not appear after an hour of work.
    if (file !== '-' || values.verify) await naming(file, () => verify(file, config, signal))
    if (!values.verify) await naming(file, () => load(file, config, values.replace, signal))
  })
}

const inBucket = 's3:'

const nameOf = (file: string) => (file === '-' ? 'the backup' : file)

async function verify(file: string, config: Config, signal: AbortSignal): Promise<void> {
  const { header, rows } = await readBackup(unzipped(file, config, signal), {
    async begin() {},
    async rows(_table, chunks) {
      for await (const _ of chunks);
    },
  })
  console.error(`${nameOf(file)} is whole: ${rows} rows, as of ${header.at}, migration ${header.migration}`)
}

async function load(file: string, config: Config, replace: boolean, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  const database = await openAlone({ config, log: quietLog, name: 'flatline restore', signal })
  try {
    const { client } = database
    const migrations = readMigrations()
    const { header, rows } = await restoreBackup({
      client,
      source: unzipped(file, config, signal),
      migrations,
      replace,
    })
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.error(`restored ${rows} rows, as of ${header.at}, in ${seconds} s`)
    const store = queryableOf(client)
    await writeAudit(store, {
      actor: 'operator',
      action: 'database.restore',
      target: header.at,
      detail: { rows, replace },
    })
    await warnOfUnreadable(store, config)
  } finally {
    await database.close()
  }
}

/** Warns if the keys of this installation cannot decrypt the restored channels: the right key can still be added. */
async function warnOfUnreadable(store: Queryable, { security, server }: Config): Promise<void> {
  const keys = existingKeys({ encryptionKey: security.encryptionKey, dataDir: server.dataDir })
  const ids = keys.map((key) => keyId(key).toString('hex'))
  const unreadable = (await countByKey(store)).filter((found) => !ids.includes(found.keyId))
  if (unreadable.length === 0) return
  const channels = unreadable.reduce((sum, { count }) => sum + count, 0)
  console.error(
    `WARNING: channels that cannot alert anybody, because their settings are encrypted with a key that is not here: ${channels}. ` +
      'Put the key of the installation that made the backup into ENCRYPTION_KEY, where a comma list holds several, or copy its encryption.key into DATA_DIR',
  )
}

async function* unzipped(file: string, config: Config, signal: AbortSignal): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 })
  // Errors are thrown where the result is read.
  pipeline(open(file, config, signal), gunzip, { signal }).catch(() => undefined)
  try {
    yield* gunzip
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (message === 'incorrect header check') throw new BackupFileError('is not a backup made by flatline backup')
    throw code?.startsWith('Z_') ? new BackupFileError(`is damaged: ${message}`) : error
  }
}

function open(file: string, config: Config, signal: AbortSignal): AsyncIterable<Buffer> {
  if (file === '-') return process.stdin
  if (!file.startsWith(inBucket)) return createReadStream(file)
  const { archive, storage } = openArchive(config, signal)
  return storage.read(archive.dumpPrefix + file.slice(inBucket.length))
}

/** The name of a backup in the bucket. */
async function resolveLatest(file: string, config: Config, signal: AbortSignal): Promise<string> {
  if (file !== `${inBucket}latest`) return file
  const { archive, storage } = openArchive(config, signal)
  let newest: string | undefined
  for await (const { key } of storage.list(archive.dumpPrefix)) newest = key
  if (newest === undefined) throw new Error('the bucket has no backup: flatline backup s3: makes one')
  return `${inBucket}${newest.slice(archive.dumpPrefix.length)}`
}

async function naming(file: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw error instanceof BackupFileError ? new Error(`${nameOf(file)} ${error.message}`, { cause: error }) : error
  }
}
