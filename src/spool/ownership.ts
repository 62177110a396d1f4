// Who owns a spool. Each process has its own directory below one root. Another process adopts the directory of an owner
// that is gone by moving it below its own, which only one of several can do. Adopting the directory of a live owner
// would lose nothing either: the owner finds its files moved and acknowledges nothing more (segments.ts).

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { unreadableDir } from './segments.ts'

type Owner = { id: string; host: string; pid: number; startedAt: string | null }

/** Where the spool of a process that is gone is now, and the id of that process if it is known. */
type Adopted = { dir: string; ownerId: string | null }

const ownerFile = 'owner.json'
const nextOwnerFile = 'owner.next.json'
/**
 * An owner on another machine, or one that cannot be checked, counts as gone when it has not touched its file for this
 * long.
 */
const silentAfterMs = 60_000

export type SpoolDirectory = {
  dir: string
  /** Shows that this process is alive; must be called more often than once a minute. */
  touch(): Promise<void>
  /** Moves the spools of owners that are gone below `dir`. */
  adoptAbandoned(): Promise<Adopted[]>
  /** Removes the directory if it is empty. */
  release(): Promise<void>
}

/**
 * Creates the directory of this process below `root`; `id` is a uuid of its own, `parentMode` the mode of the directory
 * above `root` if it must be created. `onStuck` is called once for each spool whose owner is gone and that cannot be
 * adopted.
 */
export async function claimDirectory(
  root: string,
  id: string,
  parentMode: number,
  onStuck: (dir: string, err: Error) => void,
): Promise<SpoolDirectory> {
  const dir = join(root, id)
  const owner: Owner = { id, host: hostname(), pid: process.pid, startedAt: await startOf(process.pid) }

  /**
   * Creates both again if another process took them over. The file is replaced as a whole: one that a kill left empty names no process, and
   * its spool would be adopted only once it has been silent.
   */
  async function touch(): Promise<void> {
    await mkdir(dirname(root), { recursive: true, mode: parentMode })
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const next = join(dir, nextOwnerFile)
    await writeFile(next, JSON.stringify(owner), { mode: 0o600 })
    await rename(next, join(dir, ownerFile))
  }
  await touch()
  const reported = new Set<string>()

  /** False if another process was faster, or if it cannot be moved. */
  async function claim(other: string, target: string): Promise<boolean> {
    try {
      await rename(join(root, other), target)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && !reported.has(other)) {
        reported.add(other)
        onStuck(join(root, other), error as Error)
      }
      return false
    }
  }

  return {
    dir,
    touch,

    async adoptAbandoned() {
      const adopted: Adopted[] = []
      for (const entry of await readdir(root, { withFileTypes: true })) {
        const other = entry.name
        // A spool is a directory; other files here belong to others.
        if (!entry.isDirectory() || other === id || other === unreadableDir) continue
        if (!(await isAbandoned(join(root, other)))) continue
        const target = join(dir, other)
        if (await claim(other, target))
          adopted.push({ dir: target, ownerId: (await readOwner(join(target, ownerFile)))?.id ?? null })
      }
      return adopted
    },

    async release() {
      const left = await readdir(dir, { recursive: true }).catch(() => [] as string[])
      if (left.every((path) => !path.endsWith('.spool'))) await rm(dir, { recursive: true, force: true })
    },
  }
}

async function isAbandoned(dir: string): Promise<boolean> {
  const path = join(dir, ownerFile)
  // A directory without an owner file is being created right now, or its creator died then.
  const seen = await stat(path).catch(() => stat(dir).catch(() => null))
  if (seen === null) return false
  const silent = Date.now() - seen.mtimeMs > silentAfterMs
  const owner = await readOwner(path)
  if (owner === null || owner.host !== hostname()) return silent
  return owner.startedAt === null ? !isAlive(owner.pid) : (await startOf(owner.pid)) !== owner.startedAt
}

async function readOwner(path: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Distinguishes a process from a later one with the same pid, which each start in a container has: the machine's boot
 * and the clock tick of the process's start (proc(5), field 22 of stat). Null without /proc, and for a process that is
 * gone.
 */
async function startOf(pid: number): Promise<string | null> {
  try {
    const fields = await readFile(`/proc/${pid}/stat`, 'utf8')
    const afterName = fields.slice(fields.lastIndexOf(')') + 2).split(' ')
    if (afterName[0] === 'Z') return null
    return `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}/${afterName[19]}`
  } catch {
    return null
  }
}
