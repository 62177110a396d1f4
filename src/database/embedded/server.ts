// PostgreSQL as part of the service: nothing to install, stopped with the service, restarted when it dies, and nothing
// lost when either is killed. The parts: binaries.ts (the npm package), account.ts (under root), cluster.ts (initdb),
// lock-files.ts and ownership.ts (exactly one Flatline per DATA_DIR), process.ts (start and stop). It handles no
// signals: the process decides when to stop, and calls stop().
import { setTimeout as sleep } from 'node:timers/promises'
import { type EmbeddedLog, prepareCluster } from './cluster.ts'
import { ClusterTakenError, EmbeddedPostgresError } from './error.ts'
import { type Claim, lockOwnServer, type Ownership, takeCluster } from './ownership.ts'
import { chooseAddress } from './process.ts'
import { prepareOutbox, type WalArchiving } from './wal-outbox.ts'

export { EmbeddedPostgresError }

export type EmbeddedPostgres = {
  /**
   * The configuration for pg.Pool. The host is a directory with a Unix socket (127.0.0.1 on Windows) and stays the same
   * when the server is restarted.
   */
  connection: { host: string; port: number; user: string; database: string; password?: string }
  /** Fast, clean shutdown; resolves when the server has exited (at most 20 s). May be called again. */
  stop(): Promise<void>
}

const retryFirstMs = 100
const retryMaxMs = 15_000
const relockTimeoutMs = 30_000

type StartOptions = {
  dataDir: string
  /** Without it the log is not archived. */
  archiving?: WalArchiving | null
  /** 100 by default. */
  maxConnections?: number
  log: EmbeddedLog
  onTakenOver?: (error: EmbeddedPostgresError) => void
  signal?: AbortSignal
}

/**
 * Starts PostgreSQL on `dataDir`/postgres, and creates it the first time. Rejects with EmbeddedPostgresError.
 * `onTakenOver` is called at most once, when another Flatline has taken the cluster while this server was being
 * restarted; `signal` cancels a start.
 */
export async function startEmbeddedPostgres(options: StartOptions): Promise<EmbeddedPostgres> {
  const { log, signal } = options
  const stopping = new AbortController()
  const { ownership, ...started } = await begin(options, signal ?? stopping.signal)
  const { cluster, address } = started
  const supervision = supervise(ownership, { ...started, log, signal: stopping.signal }, options.onTakenOver)
  let stopped: Promise<void> | undefined
  return {
    connection: {
      ...address,
      user: 'flatline',
      database: 'flatline',
      ...(cluster.password && { password: cluster.password }),
    },
    stop() {
      stopping.abort()
      stopped ??= supervision.then(async (last) => {
        // The lock is released last, so that no other process adopts a server that is stopping.
        await last?.process.stop()
        await last?.release()
      })
      return stopped
    },
  }
}

async function begin({ dataDir, archiving = null, maxConnections, log }: StartOptions, signal: AbortSignal) {
  const started = Date.now()
  try {
    const cluster = await prepareCluster(dataDir, log)
    const address = await chooseAddress(cluster)
    const settings = {
      ...(await prepareOutbox(cluster, archiving)),
      ...(maxConnections !== undefined && { max_connections: String(maxConnections) }),
    }
    const ownership = await takeCluster({ cluster, address, settings, log, signal })
    const durationMs = Date.now() - started
    const about = { pid: ownership.process.pid, dir: cluster.dir, durationMs }
    log.info({ event: 'embedded.ready', ...about }, 'embedded database ready')
    return { ownership, cluster, address, settings }
  } catch (cause) {
    if (cause instanceof EmbeddedPostgresError || signal.aborted) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EmbeddedPostgresError(
      `the embedded database in ${dataDir} cannot be started: ${reason} (or set DATABASE_URL)`,
      { cause },
    )
  }
}

/** Keeps the server running and locked until it is stopped. Resolves to what it then holds. */
async function supervise(
  first: Ownership,
  claim: Claim,
  onTakenOver: ((error: EmbeddedPostgresError) => void) | undefined,
): Promise<Ownership | undefined> {
  const { log, signal } = claim
  const toldToStop = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  let held = first
  for (;;) {
    await Promise.race([held.lost, toldToStop])
    if (signal.aborted) return held
    await held.release()
    try {
      held = await regain(held, claim)
    } catch (error) {
      if (signal.aborted) return held
      log.error({ event: 'embedded.taken_over', err: error }, 'another Flatline has taken over the embedded database')
      onTakenOver?.(error as EmbeddedPostgresError)
      return undefined
    }
  }
}

/** Retries without limit; rejects only when another Flatline owns the cluster, or on abort. */
async function regain({ process: server }: Ownership, claim: Claim): Promise<Ownership> {
  const { log, signal } = claim
  for (let waitMs = retryFirstMs; ; waitMs = Math.min(waitMs * 2, retryMaxMs)) {
    signal.throwIfAborted()
    try {
      if (server.isRunning()) {
        const about = { event: 'embedded.sessions_closed', pid: server.pid }
        log.warn(about, 'the embedded database closed its sessions; locking it again')
        const ownership = await lockOwnServer(server, claim, Date.now() + relockTimeoutMs)
        if (ownership) return ownership
      }
      if (!server.isRunning()) {
        log.error({ event: 'embedded.died', pid: server.pid }, 'the embedded database has died; restarting it')
        const ownership = await takeCluster(claim)
        log.info({ event: 'embedded.ready', pid: ownership.process.pid }, 'embedded database ready again')
        return ownership
      }
    } catch (error) {
      if (signal.aborted || error instanceof ClusterTakenError) throw error
      const about = { event: 'embedded.retry', err: error, retryInMs: waitMs }
      log.error(about, 'the embedded database is not back yet, trying again')
    }
    await sleep(waitMs, undefined, { ref: false, signal })
  }
}
