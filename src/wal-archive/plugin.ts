import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'

const uploadIntervalMs = 1000
const baseIntervalMs = 60_000
/** Then more is at risk than the five minutes of docs/backup.md. */
const lateMs = 4 * 60_000
const healthTimeoutMs = 1000

/** Archives the embedded database. A server of its own has its own archive_command. */
export const walArchivePlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    if (config.backup.s3Bucket === undefined || config.database.url !== undefined) return
    // Loaded only if it is used, to save memory.
    const { createArchiver } = await import('./archiver.ts')
    const stopping = new AbortController()
    const archiver = createArchiver({ config, log: app.log, signal: stopping.signal })
    const failed = (error: Error) => {
      if (stopping.signal.aborted) return false
      throw error
    }
    const step = (name: string, intervalMs: number, work: () => Promise<void>) =>
      createLoop({ name, intervalMs, log: app.log, step: () => work().then(() => false, failed) })
    const loops = [
      step('wal-archive', uploadIntervalMs, () => archiver.upload()),
      step('base-backup', baseIntervalMs, () => archiver.keepBase(Date.now())),
    ]
    app.health.register({
      name: 'wal_archive',
      critical: false,
      timeoutMs: healthTimeoutMs,
      run: async () => {
        const waitingMs = Math.round(await archiver.waitingMs(Date.now()))
        return { status: waitingMs > lateMs ? ('degraded' as const) : ('healthy' as const), waiting_ms: waitingMs }
      },
    })
    app.lifecycle.onStart('wal-archive', async () => {
      for (const loop of loops) loop.start()
    })
    app.addHook('onClose', async () => {
      stopping.abort(new Error('the service stops'))
      await Promise.all(loops.map((loop) => loop.stop()))
    })
  },
  { name: 'wal-archive', dependencies: ['database', 'health', 'lifecycle'] },
)
