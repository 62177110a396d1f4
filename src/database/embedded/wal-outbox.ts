// Where the embedded database leaves its write-ahead log for the archive: PostgreSQL copies each finished segment to
// DATA_DIR/wal-outgoing, and the service uploads it from there. PostgreSQL's own command cannot do that, because its
// processes get no secrets and may run as a user that cannot read the program. Without an archive the directory is
// removed: a log with a gap is of no use.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { giveTo } from './account.ts'
import type { Cluster } from './cluster.ts'
import { EmbeddedPostgresError } from './error.ts'

/** `timeoutS`: a segment is finished at least this often while something is written. */
export type WalArchiving = { timeoutS: number }

export const outboxOf = (dataDir: string): string => join(dataDir, 'wal-outgoing')

/** Segments under these names are being copied. */
const unfinished = '.partial-copy'

/** PostgreSQL's settings. */
export async function prepareOutbox(cluster: Cluster, archiving: WalArchiving | null): Promise<Record<string, string>> {
  const dir = outboxOf(cluster.dataDir)
  if (archiving === null) {
    await rm(dir, { recursive: true, force: true })
    return {}
  }
  if (process.platform === 'win32')
    throw new EmbeddedPostgresError('the embedded database cannot be archived on Windows: unset BACKUP_S3_BUCKET')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await giveTo(cluster.account, dir)
  const file = (suffix: string) => `${quoted(dir)}/"%f"${suffix}`
  const draft = file(unfinished)
  const steps = [`cp "%p" ${draft}`, `sync ${draft}`, `mv ${draft} ${file('')}`, `sync ${quoted(dir)}`]
  return { archive_mode: 'on', archive_timeout: `${archiving.timeoutS}s`, archive_command: steps.join(' && ') }
}

/** For the shell, within a command in which PostgreSQL replaces what follows a percent sign. */
export function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`
}
