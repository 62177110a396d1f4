import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { constants, type FileHandle, lstat, mkdir, open, rename, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { giveTo, requireReachable } from './account.ts'
import { type Cluster, childEnvironment } from './cluster.ts'
import { EmbeddedPostgresError, errorCode } from './error.ts'
import { identifyProcess } from './lock-files.ts'

/** Where the server listens: a directory for its Unix socket, or 127.0.0.1. */
export type ServerAddress = { host: string; port: number }

export type PostgresProcess = {
  pid: number
  isRunning(): boolean
  /** Resolves when the process is gone, for whatever reason. */
  exited: Promise<void>
  /**
   * Why it ended: the decisive line of its log, and whether a retry can help (another or an ending process uses the
   * cluster).
   */
  failure(): Promise<{ line: string; passing: boolean }>
  stop(): Promise<void>
}

const maxLogBytes = 10 * 1024 * 1024
const fastShutdownMs = 10_000
const immediateShutdownMs = 5_000
// 107 bytes on Linux, 103 on macOS and the BSDs.
const maxSocketPathBytes = 103
const passingFailure =
  /lock file ".*" (already exists|is empty)|pre-existing shared memory block|could not create any (Unix|TCP)/

export async function chooseAddress(cluster: Cluster): Promise<ServerAddress> {
  if (process.platform === 'win32') return { host: '127.0.0.1', port: await freePort() }
  return { host: await socketDirectory(cluster), port: 5432 }
}

/** `more` are settings of PostgreSQL beside the usual ones. */
export async function launchPostgres(
  cluster: Cluster,
  address: ServerAddress,
  more: Record<string, string>,
): Promise<PostgresProcess> {
  const logPath = join(cluster.dataDir, 'postgres.log')
  const log = await openLog(logPath, cluster)
  try {
    const { size } = await log.stat()
    const child = spawn(cluster.binaries.postgres, ['-D', cluster.dir, ...settings(address, more)], {
      ...cluster.account,
      // Its own process group: Ctrl-C in a terminal must not stop the database under a service that is still draining.
      detached: true,
      cwd: cluster.dir,
      env: childEnvironment(),
      stdio: ['ignore', log.fd, log.fd],
      windowsHide: true,
    })
    return observe(child, cluster, { path: logPath, from: size })
  } finally {
    await log.close()
  }
}

/** Stops a server that is not a child of this process. */
export async function stopPostmaster(pid: number, cluster: Cluster): Promise<void> {
  const stopped = await endProcess(pid, cluster, async (timeoutMs) => {
    const deadline = Date.now() + timeoutMs
    while (Date.now() < deadline) {
      if (['dead', 'zombie', 'other'].includes(await identifyProcess(pid, cluster.dir))) return true
      await sleep(10)
    }
    return false
  })
  if (stopped) return
  throw new EmbeddedPostgresError(`PostgreSQL (pid ${pid}) on ${cluster.dir} does not stop: end it and start again`)
}

// Fast shutdown first; then immediate, which costs a crash recovery at the next start; then kill.
async function endProcess(
  pid: number,
  cluster: Cluster,
  goneWithin: (timeoutMs: number) => Promise<boolean>,
): Promise<boolean> {
  await sendSignal(pid, 'SIGINT', cluster)
  if (await goneWithin(fastShutdownMs)) return true
  await sendSignal(pid, 'SIGQUIT', cluster)
  if (await goneWithin(immediateShutdownMs)) return true
  await sendSignal(pid, 'SIGKILL', cluster)
  return goneWithin(immediateShutdownMs)
}

function settings({ host, port }: ServerAddress, more: Record<string, string>): string[] {
  const tcp = process.platform === 'win32'
  // The list is comma-separated; quotes protect paths with commas or spaces.
  const socketDirs = tcp ? '' : `"${host.replaceAll('"', '""')}"`
  return Object.entries({
    listen_addresses: tcp ? host : '',
    port,
    unix_socket_directories: socketDirs,
    unix_socket_permissions: '0700',
    max_connections: 100,
    shared_buffers: '64MB',
    max_wal_size: '512MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    jit: 'off',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    idle_session_timeout: 0,
    cluster_name: 'flatline',
    // Errors of statements go to the clients that sent them; in this log their text would be data of tenants.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '%m [%p] ',
    ...more,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

function observe(child: ChildProcess, cluster: Cluster, log: { path: string; from: number }): PostgresProcess {
  let running = true
  let spawnError: Error | undefined
  const exited = new Promise<void>((resolve) => {
    const end = (error?: Error) => {
      running = false
      spawnError ??= error
      resolve()
    }
    child.once('error', end)
    child.once('exit', () => end())
  })
  child.unref()
  const pid = child.pid ?? 0
  endWithUs(child, exited)
  return {
    pid,
    exited,
    isRunning: () => running,
    async failure() {
      if (spawnError) return { line: `cannot run ${cluster.binaries.postgres}: ${spawnError.message}`, passing: false }
      return explainExit(await readFrom(log), pid)
    },
    async stop() {
      if (!running) return
      child.ref()
      await endProcess(pid, cluster, (timeoutMs) => {
        const tooLate = sleep(timeoutMs, false, { ref: false })
        return Promise.race([exited.then(() => true), tooLate])
      })
    },
  }
}

/** After a forced exit, for example by a second signal, nothing waits for the server; it then ends by itself. */
function endWithUs(child: ChildProcess, exited: Promise<void>): void {
  if (child.pid === undefined || process.platform === 'win32') return
  const end = () => void child.kill('SIGINT')
  process.once('exit', end)
  exited.then(() => process.off('exit', end))
}

// Windows has no signals: kill() ends the process at once there.
async function sendSignal(pid: number, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL', cluster: Cluster): Promise<void> {
  if (process.platform === 'win32' && signal !== 'SIGKILL') {
    const mode = signal === 'SIGINT' ? 'fast' : 'immediate'
    const child = execFile(cluster.binaries.pgCtl, ['stop', '-D', cluster.dir, '-m', mode, '-W'], () => {})
    await once(child, 'close').catch(() => {})
    return
  }
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

// Other processes that start at the same time write to the same file, so this searches for the lines of its own
// process.
function explainExit(text: string, pid: number): { line: string; passing: boolean } {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const fatal = lines.filter((line) => /(FATAL|PANIC): /.test(line) && !line.includes('the database system is '))
  const own = fatal.findLast((line) => line.includes(`[${pid}]`))
  const line = own ?? fatal.at(-1) ?? lines.at(-1) ?? 'it wrote nothing to its log'
  return { line: line.replace(/^.*?(?=(FATAL|PANIC): )/, ''), passing: own !== undefined && passingFailure.test(own) }
}

async function readFrom({ path, from }: { path: string; from: number }): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const start = Math.max(from, size - 65_536)
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(65_536), position: start })
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

async function openLog(path: string, { account }: Cluster): Promise<FileHandle> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  if (size > maxLogBytes) await rename(path, `${path}.1`).catch(() => {})
  // Not through a link: root would write a file that the owner of DATA_DIR chose, and change its owner.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)
  const file = await open(path, flags, 0o600)
  if (account) await file.chown(account.uid, account.gid)
  return file
}

async function socketDirectory(cluster: Cluster): Promise<string> {
  if (fits(cluster.dir)) return cluster.dir
  const name = `flatline-${createHash('sha256').update(cluster.dir).digest('hex').slice(0, 16)}`
  const dir = [join(tmpdir(), name), join('/tmp', name)].find(fits) ?? join('/tmp', name)
  await mkdir(dir, { mode: 0o700 }).catch((error) => {
    if (errorCode(error) !== 'EEXIST')
      throw new EmbeddedPostgresError(`cannot create ${dir} for the database's socket`, { cause: error })
  })
  const found = await lstat(dir)
  if (found.uid === process.getuid?.()) await giveTo(cluster.account, dir)
  const { uid, mode } = await lstat(dir)
  // Anybody can create a directory of this name under /tmp, and could pretend to be the database.
  if (!found.isDirectory() || uid !== (cluster.account?.uid ?? process.getuid?.()) || (mode & 0o077) !== 0) {
    throw new EmbeddedPostgresError(
      `${dir}, which is for the database's socket, belongs to another user: remove it or use a shorter DATA_DIR`,
    )
  }
  await requireReachable(cluster.account, dir)
  return dir
}

function fits(dir: string): boolean {
  return Buffer.byteLength(join(dir, '.s.PGSQL.5432')) <= maxSocketPathBytes
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return typeof address === 'object' && address ? address.port : 0
}
