// One Flatline per DATA_DIR. The owner holds an advisory lock in a session of its own as long as it lives: a kill ends
// the session, so nothing has to be cleaned up, and no stale pid can mislead. PostgreSQL's own lock file lets one
// server run on a cluster; the advisory lock says which Flatline owns the server. A server without the lock is an
// orphan whose Flatline was killed; the process that gets the lock stops it and starts its own. A server whose owner
// has not locked it yet looks the same for a moment, so a grace time applies: only its parent may lock a younger
// server. A parent that is slower loses its server once and then finds the cluster taken. In every order of events the
// lock has one holder.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster, EmbeddedLog } from './cluster.ts'
import { ClusterTakenError, EmbeddedPostgresError } from './error.ts'
import { identifyProcess, type PostmasterFile, readPostmasterFile, removeFalseLock } from './lock-files.ts'
import { launchPostgres, type PostgresProcess, type ServerAddress, stopPostmaster } from './process.ts'

export type Ownership = {
  process: PostgresProcess
  /** Resolves when the server or the session that holds the lock is gone. */
  lost: Promise<void>
  release(): Promise<void>
}

/** `settings` are those of PostgreSQL beside the usual ones. */
export type Claim = {
  cluster: Cluster
  address: ServerAddress
  settings: Record<string, string>
  log: EmbeddedLog
  signal: AbortSignal
}

const startTimeoutMs = 120_000
const parentGraceMs = 3_000
// The session of a killed owner exists until its server notices the closed socket.
const lockTimeoutMs = 3_000
const pollMs = 20
const tryLock = "SELECT pg_try_advisory_lock(x'464c4154'::int, 1) AS locked"
const lockHeld = `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
  AND classid = x'464c4154'::int AND objid = 1 AND objsubid = 2) AS held`
const identity = `SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid,
  extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 * 1000 AS "ageMs"`

/** Whether a Flatline owns the server; queried in its database `postgres`. */
export async function ownerLockHeld(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(lockHeld)
  return rows[0]?.held ?? false
}

/** Stops an orphan, starts a server and locks it. Rejects with ClusterTakenError if another Flatline has the lock. */
export async function takeCluster(claim: Claim): Promise<Ownership> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    claim.signal.throwIfAborted()
    await retireOrphan(claim, deadline)
    const server = await launchPostgres(claim.cluster, claim.address, claim.settings)
    try {
      const ownership = await lockOwnServer(server, claim, deadline)
      if (ownership) return ownership
    } catch (error) {
      await server.stop()
      throw error
    }
    // A server that still runs was taken for an orphan, and another process is stopping it; the next round finds out
    // who owns the cluster.
    if (!server.isRunning()) await requireTemporary(server, claim, deadline)
    await sleep(100)
  }
}

/**
 * Locks the running server of this process (also after it has reset all sessions). Undefined if it is gone, or another
 * process has the lock.
 */
export async function lockOwnServer(
  server: PostgresProcess,
  { cluster, address, log, signal }: Claim,
  deadline: number,
): Promise<Ownership | undefined> {
  // Every start says "starting up" for some milliseconds; only a long one is logged.
  const announceAt = Date.now() + 1000
  let announced = false
  while (server.isRunning()) {
    signal.throwIfAborted()
    if (Date.now() > deadline) {
      throw new EmbeddedPostgresError(
        `the embedded database in ${cluster.dir} does not accept connections: see ${join(cluster.dataDir, 'postgres.log')}`,
      )
    }
    const { client, answered } = await connectAsOwner(address, cluster)
    if (!client) {
      if (answered && !announced && Date.now() > announceAt) {
        const about = { event: 'embedded.starting', dir: cluster.dir }
        log.info(about, 'the embedded database is still starting, it may be recovering from a crash')
        announced = true
      }
      await sleep(pollMs)
      continue
    }
    const lost = new Promise<void>((resolve) => client.once('end', resolve))
    try {
      if ((await lockWithin(client, lockTimeoutMs)) && (await serverOf(client)).pid === server.pid) {
        await ensureDatabase(client)
        unref(client)
        return { process: server, lost: Promise.race([lost, server.exited]), release: () => closeClient(client) }
      }
      await closeClient(client)
      return undefined
    } catch (error) {
      await closeClient(client)
      if (error instanceof EmbeddedPostgresError) throw error
      await sleep(pollMs)
    }
  }
  return undefined
}

/** Returns when no server runs on the cluster. */
async function retireOrphan({ cluster, address, log, signal }: Claim, deadline: number): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const file = await readPostmasterFile(cluster.dir)
    const { client, answered } = file ? await connectAsOwner(addressOf(file, address), cluster) : {}
    if (client) {
      try {
        await stopOrphan(client, cluster, log)
      } catch (error) {
        if (error instanceof EmbeddedPostgresError) throw error
      } finally {
        await closeClient(client)
      }
    } else if (!answered) {
      const found = file ? await identifyProcess(file.pid, cluster.dir) : 'dead'
      if (found !== 'postmaster' && found !== 'unknown') {
        await removeFalseLock(join(cluster.dir, 'postmaster.pid'), cluster, log)
        await removeFalseLock(join(address.host, `.s.PGSQL.${address.port}.lock`), cluster, log)
        return
      }
    }
    if (Date.now() > deadline) {
      throw new EmbeddedPostgresError(
        `PostgreSQL (pid ${file?.pid}) runs on ${cluster.dir} but does not answer: end it and start again`,
      )
    }
    await sleep(pollMs)
  }
}

async function stopOrphan(client: pg.Client, cluster: Cluster, log: EmbeddedLog): Promise<void> {
  const { pid, ageMs } = await serverOf(client)
  if (ageMs < parentGraceMs) await sleep(parentGraceMs - Math.max(0, ageMs))
  if (!(await lockWithin(client, lockTimeoutMs))) {
    throw new ClusterTakenError(`another Flatline is already using ${cluster.dataDir}; stop it or set another DATA_DIR`)
  }
  const found = await identifyProcess(pid, cluster.dir)
  if (found !== 'postmaster' && found !== 'unknown') {
    throw new ClusterTakenError(
      `a PostgreSQL in another container is running on ${cluster.dir}; stop it or set another DATA_DIR`,
    )
  }
  const about = { event: 'embedded.left_running', pid, dir: cluster.dir }
  log.warn(about, 'stopping the embedded database that a killed Flatline left running')
  await stopPostmaster(pid, cluster)
}

async function requireTemporary(server: PostgresProcess, { cluster }: Claim, deadline: number): Promise<void> {
  const { line, passing } = await server.failure()
  if (passing && Date.now() < deadline) return
  throw new EmbeddedPostgresError(
    `the embedded database in ${cluster.dir} does not start: ${line} (see ${join(cluster.dataDir, 'postgres.log')})`,
  )
}

/** `answered` without a client: a server is there, but starting up, stopping or full. */
export async function connectAsOwner(
  address: ServerAddress,
  cluster: Cluster,
): Promise<{ client?: pg.Client; answered: boolean }> {
  const client = new pg.Client({
    ...address,
    user: 'flatline',
    // Advisory locks belong to one database, and this one always exists.
    database: 'postgres',
    password: cluster.password,
    ssl: false,
    application_name: 'flatline owner',
    connectionTimeoutMillis: 2_000,
    query_timeout: 10_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return { client, answered: true }
  } catch (error) {
    await closeClient(client)
    return { answered: error instanceof pg.DatabaseError }
  }
}

async function lockWithin(client: pg.Client, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>(tryLock)
    if (rows[0]?.locked) return true
    if (Date.now() > deadline) return false
    await sleep(100)
  }
}

async function serverOf(client: pg.Client): Promise<{ pid: number; ageMs: number }> {
  const { rows } = await client.query<{ pid: number; ageMs: number }>(identity)
  return rows[0] ?? { pid: 0, ageMs: 0 }
}

async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rows } = await client.query("SELECT FROM pg_database WHERE datname = 'flatline'")
  if (rows.length === 0) await client.query('CREATE DATABASE flatline')
}

function addressOf(file: PostmasterFile, ours: ServerAddress): ServerAddress {
  return { host: file.socketDir || file.listenAddress || ours.host, port: file.port || ours.port }
}

async function closeClient(client: pg.Client): Promise<void> {
  await Promise.race([client.end().catch(() => {}), sleep(1_000, undefined, { ref: false })])
}

// The lock must not keep a process alive that has nothing else to do; pg has the method, but its types do not.
function unref(client: pg.Client): void {
  ;(client as pg.Client & { unref(): void }).unref()
}
