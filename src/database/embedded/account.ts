import { chmod, lchown, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EmbeddedPostgresError } from './error.ts'

/** The user that PostgreSQL runs as; undefined means the user of this process. */
export type SystemAccount = { uid: number; gid: number } | undefined

// "nobody" on Linux, and the only unprivileged user with a name in nearly every container image. A user `postgres` may
// not exist.
export const nobody = { uid: 65534, gid: 65534 }

export function runningAsRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * PostgreSQL refuses root. If a user already owns one of the paths (the cluster first), no change of owner is needed.
 */
export async function chooseAccount(paths: string[]): Promise<SystemAccount> {
  if (!runningAsRoot()) return undefined
  for (const path of paths) {
    const owner = await stat(path).catch(() => undefined)
    if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  }
  return nobody
}

/**
 * DATA_DIR belongs to Flatline, so root makes it passable (not listable) for other users; directories above it are not
 * changed.
 */
export async function openForPassage(dataDir: string, account: SystemAccount): Promise<void> {
  if (!account) return
  const { mode, uid } = await stat(dataDir)
  if (uid === 0 && (mode & 0o001) === 0) await chmod(dataDir, (mode & 0o7777) | 0o011)
}

/** Rejects with the first directory or file on the way to `path` that the account may not enter or execute. */
export async function requireReachable(account: SystemAccount, path: string): Promise<void> {
  if (!account) return
  for (const step of stepsTo(path)) {
    const { mode, uid, gid } = await stat(step)
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
    if ((mode & bit) !== 0) continue
    throw new EmbeddedPostgresError(
      `PostgreSQL refuses to run as root, and uid ${account.uid}, which would run it, may not enter ${step}` +
        `${step === path ? '' : ` (needed for ${path})`}: run Flatline as a user other than root, keep Flatline and DATA_DIR elsewhere, ` +
        `run "chmod o+x ${step}", or set DATABASE_URL`,
    )
  }
}

export async function giveTo(account: SystemAccount, dir: string): Promise<void> {
  if (!account) return
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), account.uid, account.gid)
  }
  await lchown(dir, account.uid, account.gid)
}

function stepsTo(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [path] : [...stepsTo(parent), path]
}
