// PostgreSQL marks a cluster and a socket as in use with files that contain the pid of the postmaster, and trusts them
// if any process of its user has that pid. In a container every start uses the same few pids, so after a kill the file
// often names an unrelated process.
import { execFile } from 'node:child_process'
import { readFile, readlink, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import type { Cluster, EmbeddedLog } from './cluster.ts'
import { errorCode } from './error.ts'

/** postmaster.pid; port and socketDir are empty for the first moments of a start. */
export type PostmasterFile = { pid: number; port: number; socketDir: string; listenAddress: string }

/**
 * `zombie`: dead, but its parent never reaps it, as happens under pid 1 of a container. `unknown`: alive, but not
 * accessible.
 */
export type ProcessIdentity = 'postmaster' | 'other' | 'zombie' | 'dead' | 'unknown'

const run = promisify(execFile)

export async function readPostmasterFile(clusterDir: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  return {
    pid: Math.abs(Number.parseInt(lines[0] ?? '', 10)) || 0,
    port: Number.parseInt(lines[3] ?? '', 10) || 0,
    socketDir: lines[4]?.trim() ?? '',
    listenAddress: lines[5]?.trim() ?? '',
  }
}

/** Whether `pid` is a PostgreSQL that works in `clusterDir`. */
export async function identifyProcess(pid: number, clusterDir: string): Promise<ProcessIdentity> {
  if (pid <= 0 || !isSignalable(pid)) return 'dead'
  if (process.platform === 'linux') return identifyOnLinux(pid, clusterDir)
  if (process.platform === 'win32') return 'unknown'
  const described = await run('ps', ['-o', 'stat=,comm=', '-p', String(pid)]).catch(() => undefined)
  if (!described) return isSignalable(pid) ? 'unknown' : 'dead'
  const [state = '', ...command] = described.stdout.trim().split(/\s+/)
  if (state.startsWith('Z')) return 'zombie'
  return basename(command.join(' ')).startsWith('postgres') ? 'postmaster' : 'other'
}

/**
 * Removes a postmaster.pid or socket lock that names a process which is not this cluster's postmaster. Call it only
 * when no server answers there.
 */
export async function removeFalseLock(path: string, cluster: Cluster, log: EmbeddedLog): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return
  const pid = Math.abs(Number.parseInt(text, 10)) || 0
  const identity = await identifyProcess(pid, cluster.dir)
  // PostgreSQL itself removes the file of a dead process, with better interlocks than these, but stops at an empty file
  // (full disk); the file of another starting server is also empty for an instant.
  const empty =
    text.trim() === '' && Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now()) > 2000
  if (!empty && identity !== 'other' && identity !== 'zombie') return
  // Renamed before it is removed: if another server has replaced the file since it was read, the rename is undone.
  const aside = `${path}.stale-${process.pid}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await readFile(aside, 'utf8')) !== text) return rename(aside, path)
  await rm(aside, { force: true })
  log.warn(
    { event: 'embedded.lock_removed', path, pid },
    'removed a stale lock file of the embedded database: its process id now belongs to another process',
  )
}

function isSignalable(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

async function identifyOnLinux(pid: number, clusterDir: string): Promise<ProcessIdentity> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (status === undefined) return isSignalable(pid) ? 'unknown' : 'dead'
  if (/^[ZX]/.test(status.slice(status.lastIndexOf(')') + 2))) return 'zombie'
  const executable = await readlink(`/proc/${pid}/exe`).catch(() => undefined)
  if (executable === undefined) return 'unknown'
  if (!basename(executable).startsWith('postgres')) return 'other'
  const [here, there] = await Promise.all([stat(clusterDir), stat(`/proc/${pid}/cwd`).catch(() => undefined)])
  if (there === undefined) return 'unknown'
  return here.ino === there.ino && here.dev === there.dev ? 'postmaster' : 'other'
}
