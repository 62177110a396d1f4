// `flatline archive`: base backups and the write-ahead log in S3-compatible storage, and the recovery from there.

import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { writeAudit } from '../audit/store.ts'
import { type Config, loadConfig } from '../config/load.ts'
import { targetTime } from '../database/backup/wal.ts'
import { recoverCluster } from '../database/embedded/recovery.ts'
import { addressOfRunning, embeddedOptions, openAlone, queryableOf } from '../database/offline.ts'
import { type BaseBackup, readSystem } from '../wal-archive/archive.ts'
import { prune, pruneDumps, storeBaseBackup } from '../wal-archive/base.ts'
import { type OpenArchive, openArchive } from '../wal-archive/open.ts'
import { chooseBase, downloadWal, unpackBase } from '../wal-archive/recover.ts'
import { interruptible } from './interruption.ts'
import { quietLog } from './quiet-log.ts'

const commands: Record<string, (args: string[], config: Config, signal: AbortSignal) => Promise<void>> = {
  base,
  push,
  fetch: fetchFile,
  list,
  recover,
}

/** PostgreSQL takes a smaller status for "not in the archive", and would end a recovery before its time. */
const abortRecovery = 200

export async function archive([name = '', ...args]: string[]): Promise<void> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new Error(`name one of ${Object.keys(commands).join(', ')}`)
  const config = loadConfig()
  await interruptible((signal) => command(args, config, signal))
}

async function base(args: string[], config: Config, signal: AbortSignal): Promise<void> {
  positionals(args, 0)
  const began = performance.now()
  const open = openArchive(config, signal)
  const taken = await storeBaseBackup(open, await addressOfRunning(config, 'flatline archive', signal))
  console.error(`base backup ${taken.name}: ${describe(taken)}, in ${secondsSince(began)}`)
  const removed = await prune(open, { system: taken.system, ...config.backup }, Date.now())
  const dumps = await pruneDumps(open, config.backup, Date.now())
  console.error(`removed: base backups ${removed.bases}, files of the log ${removed.segments}, dumps ${dumps}`)
}

/** archive_command = 'flatline archive push "%p"': PostgreSQL runs it in the directory of its cluster. */
async function push(args: string[], config: Config, signal: AbortSignal): Promise<void> {
  const [path = ''] = positionals(args, 1)
  const content = await readFile(path)
  await openArchive(config, signal).archive.push(await readSystem('.'), basename(path), content)
}

/** restore_command = 'flatline archive fetch "%f" "%p"'. */
async function fetchFile(args: string[], config: Config, signal: AbortSignal): Promise<void> {
  const [name = '', path = ''] = positionals(args, 2)
  try {
    const found = await openArchive(config, signal).archive.fetch(await readSystem('.'), name)
    if (found === null) {
      process.exitCode = 1
      return
    }
    await writeFile(`${path}.partial`, found.content, { mode: 0o600 })
    await rename(`${path}.partial`, path)
  } catch (error) {
    console.error(`flatline archive fetch: ${(error as Error).message}`)
    process.exitCode = abortRecovery
  }
}

async function list(args: string[], config: Config, signal: AbortSignal): Promise<void> {
  positionals(args, 0)
  const { archive, storage } = openArchive(config, signal)
  for (const found of await archive.bases()) console.log(`${found.name}  ${describe(found)}`)
  for await (const { key, size } of storage.list(archive.dumpPrefix)) console.log(`s3:${basename(key)}  ${size} bytes`)
}

async function recover(args: string[], config: Config, signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { until: { type: 'string' }, base: { type: 'string' }, into: { type: 'string' } },
  })
  const until = values.until === undefined ? undefined : new Date(values.until)
  if (until && !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(values.until ?? '')) throw new Error(wrongInstant)
  if (until && Number.isNaN(until.getTime())) throw new Error(wrongInstant)
  const began = performance.now()
  const open = openArchive(config, signal)
  const bases = await open.archive.bases()
  const chosen = chooseBase(bases, { ...(until && { until }), ...(values.base !== undefined && { name: values.base }) })
  const target = until && targetTime(until)
  const moment = until === undefined ? 'the end of the archive' : until.toISOString()
  console.error(`from base backup ${chosen.name} (${describe(chosen)}) to ${moment}`)
  if (values.into === undefined) await recoverEmbedded(open, chosen, { config, until: target, signal })
  else await prepareServer(open, chosen, resolve(values.into), target)
  console.error(`done in ${secondsSince(began)}`)
}

const wrongInstant = '--until must be an instant with its zone, such as 2026-11-24T14:59:00Z'

async function recoverEmbedded(
  open: OpenArchive,
  chosen: BaseBackup,
  { config, until, signal }: { config: Config; until: string | undefined; signal: AbortSignal },
): Promise<void> {
  if (config.database.url !== undefined)
    throw new Error('DATABASE_URL is set: --into DIRECTORY prepares the files for that server')
  const { dataDir, archiving } = embeddedOptions(config)
  const walDir = join(dataDir, 'wal-incoming')
  const dir = join(dataDir, 'postgres')
  await unpackBase(open, chosen, dir)
  try {
    const files = await downloadWal(open, chosen, walDir)
    console.error(`downloaded the base backup and ${files} files of the log`)
    await recoverCluster({ dataDir, walDir, until, archiving, log: quietLog, signal })
  } catch (error) {
    // Half a recovery is of no use, and would be in the way of the next one.
    await rm(dir, { recursive: true, force: true })
    throw error
  } finally {
    await rm(walDir, { recursive: true, force: true })
  }
  const database = await openAlone({ config, log: quietLog, name: 'flatline archive', signal })
  try {
    const detail = { base: chosen.name, until: until ?? null }
    const store = queryableOf(database.client)
    await writeAudit(store, { actor: 'operator', action: 'database.restore', target: chosen.name, detail })
  } finally {
    await database.close()
  }
}

async function prepareServer(open: OpenArchive, chosen: BaseBackup, dir: string, until?: string): Promise<void> {
  await unpackBase(open, chosen, dir)
  const settings = {
    restore_command: 'flatline archive fetch "%f" "%p"',
    recovery_target_action: 'promote',
    ...(until && { recovery_target_time: until }),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`)
  await appendFile(join(dir, 'postgresql.auto.conf'), lines.join(''))
  await writeFile(join(dir, 'recovery.signal'), '')
  console.error(`${dir} is ready: give it to the account of PostgreSQL ${chosen.serverVersion}, and start the server`)
}

function positionals(args: string[], count: number): string[] {
  const found = parseArgs({ args, allowPositionals: true }).positionals
  if (found.length !== count) throw new Error(`takes ${count} arguments`)
  return found
}

function describe({ startedAt, endedAt, bytes, serverVersion, system }: BaseBackup): string {
  const megabytes = (bytes / 2 ** 20).toFixed(1)
  return `${startedAt} to ${endedAt}, ${megabytes} MB, PostgreSQL ${serverVersion}, database ${system}`
}

function secondsSince(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`
}
