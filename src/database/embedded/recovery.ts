// Brings a base backup under DATA_DIR/postgres to the end of an archived log, or to an earlier moment.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { giveTo } from './account.ts'
import { type EmbeddedLog, prepareCluster } from './cluster.ts'
import { EmbeddedPostgresError } from './error.ts'
import { connectAsOwner } from './ownership.ts'
import { chooseAddress, launchPostgres } from './process.ts'
import { prepareOutbox, quoted, type WalArchiving } from './wal-outbox.ts'

const pollMs = 250

/** `walDir` holds the log: one gzipped file for each segment. `until` is an instant as PostgreSQL writes it. */
export async function recoverCluster(options: {
  dataDir: string
  walDir: string
  until: string | undefined
  archiving: WalArchiving | null
  log: EmbeddedLog
  signal: AbortSignal
}): Promise<void> {
  const cluster = await prepareCluster(options.dataDir, options.log)
  await writeFile(join(cluster.dir, 'recovery.signal'), '')
  await giveTo(cluster.account, cluster.dir)
  await giveTo(cluster.account, options.walDir)
  const address = await chooseAddress(cluster)
  const server = await launchPostgres(cluster, address, {
    ...(await prepareOutbox(cluster, options.archiving)),
    restore_command: `gzip -dc < ${quoted(options.walDir)}/"%f".gz > "%p"`,
    recovery_target_action: 'promote',
    ...(options.until && { recovery_target_time: options.until }),
    // A client that connects from now on finds a server that has ended its recovery.
    hot_standby: 'off',
  })
  try {
    while (server.isRunning()) {
      options.signal.throwIfAborted()
      const { client } = await connectAsOwner(address, cluster)
      await client?.end()
      if (client) return
      await sleep(pollMs)
    }
    const { line } = await server.failure()
    throw new EmbeddedPostgresError(`the recovery ended early: ${line} (see ${join(cluster.dataDir, 'postgres.log')})`)
  } finally {
    await server.stop()
  }
}
