import fp from 'fastify-plugin'
import { type BlindTime, createBlindTime } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    blindTime: BlindTime
  }
}

export type BlindTimeOptions = { blindAfterMs: number; acceptanceIntervalMs: number; maxStalenessMs: number }

/** How long deadlines wait for the spools of replicas after an outage that all replicas saw. */
const afterOutageMs = 300_000

/** Provides the record of acceptance; the detector writes it from the moment on which heartbeats are accepted. */
export const blindTimePlugin = fp<BlindTimeOptions>(
  async (app, { maxStalenessMs, ...intervals }) => {
    const patience = { afterOutageMs, unheardMs: maxStalenessMs }
    const blindTime = createBlindTime({ database: app.database, ...intervals, patience })
    app.decorate('blindTime', blindTime)
    const { observe } = app.domainMetrics
    observe('blind_windows', () => [{ value: blindTime.windows().length }])
    observe('blind_time_seconds', () => [
      { value: blindTime.windows().reduce((sum, { from, to }) => sum + (to - from) / 1000, 0) },
    ])
  },
  { name: 'blind-time', dependencies: ['database', 'metrics'] },
)
