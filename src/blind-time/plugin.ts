import fp from 'fastify-plugin'
import { type BlindTime, createBlindTime } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    blindTime: BlindTime
  }
}

export type BlindTimeOptions = { blindAfterMs: number; acceptanceIntervalMs: number }

/** Offers the record; the detector keeps it, from the moment on which heartbeats are accepted. */
export const blindTimePlugin = fp<BlindTimeOptions>(
  async (app, { blindAfterMs, acceptanceIntervalMs }) => {
    app.decorate('blindTime', createBlindTime({ database: app.database, blindAfterMs, acceptanceIntervalMs }))
  },
  { name: 'blind-time', dependencies: ['database'] },
)
