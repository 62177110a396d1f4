// The cluster on disk. initdb works in a temporary sibling directory that is renamed when complete, so
// DATA_DIR/postgres either does not exist or is complete, whenever the process is killed. Several processes may run
// initdb at the same time: the first rename wins, the others find a directory that is not empty, delete their copy and
// use the winner's.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  access,
  chmod,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { dataDirMode } from '../../config/data-dir.ts'
import {
  chooseAccount,
  giveTo,
  nobody,
  openForPassage,
  requireReachable,
  runningAsRoot,
  type SystemAccount,
} from './account.ts'
import { findPostgresBinaries, type PostgresBinaries } from './binaries.ts'
import { EmbeddedPostgresError, errorCode } from './error.ts'

export type Cluster = {
  dataDir: string
  dir: string
  account: SystemAccount
  binaries: PostgresBinaries
  /** Only where the server listens on TCP (Windows). */
  password?: string
}

export type EmbeddedLog = {
  info(object: object, message: string): void
  warn(object: object, message: string): void
  error(object: object, message: string): void
}

const initdbTimeoutMs = 120_000
const temporaryPrefix = 'postgres.initdb-'
const passwordFile = 'flatline.password'
const run = promisify(execFile)

/** Prepares a complete cluster of the right major version in DATA_DIR that the returned account can run. */
export async function prepareCluster(givenDataDir: string, log: EmbeddedLog): Promise<Cluster> {
  const binaries = await findPostgresBinaries()
  const dataDir = await prepareDataDir(givenDataDir)
  const dir = join(dataDir, 'postgres')
  await removeLeftovers(dataDir, log)
  if (await isMissing(dir)) await createCluster(dataDir, dir, binaries, log)
  await requireOurVersion(dir, binaries)
  const account = await takePossession(dataDir, dir)
  await requireReachable(account, dir)
  await requireReachable(account, await realpath(binaries.postgres))
  const password = process.platform === 'win32' ? await readFile(join(dir, passwordFile), 'utf8') : undefined
  return { dataDir, dir, account, binaries, ...(password && { password }) }
}

/** The environment of PostgreSQL's processes: no variables of the service (secrets, PG*), only what a loader needs. */
export function childEnvironment(): Record<string, string> {
  const kept = ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot', 'SYSTEMROOT', 'TEMP', 'TMP']
  const pairs = kept.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]]))
  return { ...Object.fromEntries(pairs), LC_ALL: 'C', TZ: 'UTC' }
}

async function prepareDataDir(given: string): Promise<string> {
  const wanted = resolve(given)
  try {
    await mkdir(wanted, { recursive: true, mode: dataDirMode })
    await access(wanted, constants.W_OK | constants.X_OK)
    return await realpath(wanted)
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `DATA_DIR ${wanted} is not a writable directory (${errorCode(cause)}): ` +
        'make it writable, set DATA_DIR to another directory, or set DATABASE_URL',
      { cause },
    )
  }
}

// Another process may be running initdb right now, so only the remains of dead processes, or very old ones, are
// removed.
async function removeLeftovers(dataDir: string, log: EmbeddedLog): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(temporaryPrefix)) continue
    const path = join(dataDir, name)
    const pid = Number.parseInt(name.slice(temporaryPrefix.length), 10)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0)
    if (pid !== process.pid && isAlive(pid) && age < 5 * initdbTimeoutMs) continue
    const about = { event: 'embedded.leftovers_removed', path }
    log.warn(about, 'removing the remains of an interrupted first start of the embedded database')
    await removeTree(path)
  }
}

async function isMissing(dir: string): Promise<boolean> {
  try {
    return (await readdir(dir)).length === 0
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return true
    if (errorCode(cause) === 'EACCES') throw await notOurs(dir, cause)
    throw new EmbeddedPostgresError(`cannot read ${dir} (${errorCode(cause)}): set DATA_DIR to another directory`, {
      cause,
    })
  }
}

async function createCluster(
  dataDir: string,
  dir: string,
  binaries: PostgresBinaries,
  log: EmbeddedLog,
): Promise<void> {
  const started = Date.now()
  const account = await chooseAccount([dataDir])
  // initdb, unlike the server, needs a user with a name; the owner of a volume often has none.
  const accounts = account && account.uid !== nobody.uid ? [account, nobody] : [account]
  for (const [index, candidate] of accounts.entries()) {
    const last = index === accounts.length - 1
    const temporary = join(dataDir, `${temporaryPrefix}${process.pid}-${randomBytes(4).toString('hex')}`)
    try {
      await openForPassage(dataDir, candidate)
      await requireReachable(candidate, dataDir)
      await requireReachable(candidate, await realpath(binaries.initdb))
      await mkdir(temporary, { mode: 0o700 })
      await giveTo(candidate, temporary)
      await runInitdb(temporary, candidate, binaries)
      await moveIntoPlace(temporary, dir, dataDir)
      log.info({ event: 'embedded.created', dir, durationMs: Date.now() - started }, 'embedded database created')
      return
    } catch (error) {
      if (last || !(error instanceof NamelessAccountError)) throw error
    } finally {
      await removeTree(temporary)
    }
  }
}

class NamelessAccountError extends EmbeddedPostgresError {}

async function runInitdb(dir: string, account: SystemAccount, binaries: PostgresBinaries): Promise<void> {
  const args = ['-D', dir, '-U', 'flatline', '-E', 'UTF8', '--locale=C', '--locale-provider=builtin']
  args.push('--builtin-locale=C.UTF-8', '--data-checksums', '--no-instructions')
  if (process.platform === 'win32') {
    const password = randomBytes(24).toString('hex')
    const file = `${dir}.password`
    await writeFile(file, password, { mode: 0o600 })
    await spawnInitdb(binaries, [...args, '-A', 'scram-sha-256', `--pwfile=${file}`], dir, account).finally(() =>
      rm(file),
    )
    await writeFile(join(dir, passwordFile), password, { mode: 0o600 })
  } else {
    // The socket needs no password: its directory admits only the user who can read the data files anyway.
    await spawnInitdb(binaries, [...args, '--auth-local=trust', '--auth-host=reject'], dir, account)
  }
}

async function spawnInitdb(
  binaries: PostgresBinaries,
  args: string[],
  dir: string,
  account: SystemAccount,
): Promise<void> {
  try {
    await run(binaries.initdb, args, {
      ...account,
      cwd: dir,
      env: childEnvironment(),
      timeout: initdbTimeoutMs,
      killSignal: 'SIGKILL',
    })
  } catch (cause) {
    const { stderr = '', message } = cause as { stderr?: string; message: string }
    if (stderr.includes('could not look up effective user ID')) {
      throw new NamelessAccountError(
        `PostgreSQL's initdb needs its user to have a name and uid ${account?.uid ?? process.getuid?.()} has none: ` +
          'add it to /etc/passwd, run Flatline as another user, or set DATABASE_URL',
        { cause },
      )
    }
    const reason =
      stderr
        .trim()
        .split('\n')
        .find((line) => /error|fatal|could not/i.test(line)) ?? message.split('\n')[0]
    throw new EmbeddedPostgresError(
      `cannot create the embedded database in ${dir}: ${reason?.trim()} (or set DATABASE_URL)`,
      { cause },
    )
  }
}

async function moveIntoPlace(temporary: string, dir: string, dataDir: string): Promise<void> {
  try {
    await rename(temporary, dir)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(errorCode(error) ?? '') || (await isMissing(dir))) throw error
    return
  }
  if (process.platform === 'win32') return
  // Without the sync a power failure could undo the rename, and an empty database would replace acknowledged
  // heartbeats.
  const parent = await open(dataDir, 'r')
  await parent.sync().finally(() => parent.close())
}

async function requireOurVersion(dir: string, binaries: PostgresBinaries): Promise<void> {
  const found = await readFile(join(dir, 'PG_VERSION'), 'utf8').catch((cause) => {
    if (errorCode(cause) !== 'ENOENT') return notOurs(dir, cause).then((error) => Promise.reject(error))
    throw new EmbeddedPostgresError(`${dir} is not a PostgreSQL cluster: move it away or set another DATA_DIR`, {
      cause,
    })
  })
  const ours = binaries.version.split('.')[0]
  if (found.trim() === ours) return
  throw new EmbeddedPostgresError(
    `the database in ${dir} was made by PostgreSQL ${found.trim()}, this Flatline brings PostgreSQL ${ours}: run "flatline backup" of ` +
      'the Flatline that made it, then "flatline restore" of this one with another DATA_DIR or with DATABASE_URL',
  )
}

async function takePossession(dataDir: string, dir: string): Promise<SystemAccount> {
  const account = await chooseAccount([dir, dataDir])
  const { uid, mode } = await stat(dir)
  if (account && uid === 0) await giveTo(account, dir)
  if (!runningAsRoot() && process.getuid && uid !== process.getuid()) throw await notOurs(dir)
  // PostgreSQL requires this mode, and volume drivers (fsGroup) widen it.
  if (process.platform !== 'win32' && (mode & 0o777) !== 0o700) await chmod(dir, 0o700)
  await openForPassage(dataDir, account)
  return account
}

async function notOurs(dir: string, cause?: unknown): Promise<EmbeddedPostgresError> {
  const owner = (await stat(dir).catch(() => undefined))?.uid ?? 'unknown'
  return new EmbeddedPostgresError(
    `${dir} belongs to uid ${owner}, and Flatline runs as uid ${process.getuid?.()}: ` +
      `run Flatline as its owner or root, run "chown -R ${process.getuid?.()} ${dir}", or set another DATA_DIR`,
    { cause },
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

function removeTree(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}
