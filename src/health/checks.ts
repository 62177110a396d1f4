import type { Database } from '../database/service.ts'
import type { HealthCheck } from './service.ts'
import { pingDatabase } from './store.ts'

export function databaseCheck(database: Database): HealthCheck {
  return {
    name: 'database',
    critical: true,
    timeoutMs: 2000,
    async run() {
      try {
        await pingDatabase(database)
        const { totalCount, idleCount, waitingCount } = database.pool
        const pool = { active: totalCount - idleCount, idle: idleCount, waiting: waitingCount }
        return { status: 'healthy', connection: 'connected', pool }
      } catch {
        return { status: 'unhealthy', connection: 'disconnected' }
      }
    },
  }
}

/** Overload of the event loop, which slows everything that this process does. */
export function processCheck(load: () => { eventLoopDelay: number; eventLoopUtilized: number }): HealthCheck {
  return {
    name: 'process',
    critical: true,
    timeoutMs: 2000,
    run() {
      const { eventLoopDelay, eventLoopUtilized } = load()
      const status = eventLoopDelay > 1000 || eventLoopUtilized > 0.98 ? 'degraded' : 'healthy'
      return {
        status,
        eventLoopDelayMs: Math.round(eventLoopDelay),
        eventLoopUtilization: Math.round(eventLoopUtilized * 100) / 100,
      }
    },
  }
}

/** A round trip through the key that guards channels' settings. */
export function encryptionCheck(test: () => void): HealthCheck {
  return {
    name: 'encryption',
    critical: true,
    timeoutMs: 1000,
    run() {
      test()
      return { status: 'healthy', algorithm: 'aes-256-gcm' }
    },
  }
}

/** A detector that does not come round raises no alarm, which nobody would notice otherwise. */
export function detectorCheck(lastRunMs: () => number, now: () => number): HealthCheck {
  return {
    name: 'detector',
    critical: false,
    timeoutMs: 1000,
    run() {
      const agoMs = now() - lastRunMs()
      return { status: agoMs > 10_000 ? 'degraded' : 'healthy', lastRunAgoMs: Math.round(agoMs) }
    },
  }
}
