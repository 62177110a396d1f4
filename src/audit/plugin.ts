import fp from 'fastify-plugin'
import { createShutdownRecord, type ShutdownRecord } from './shutdown.ts'
import { type WriteAudit, writeAudit } from './store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    audit: { write: WriteAudit; shutdown: ShutdownRecord }
  }
}

export const auditPlugin = fp<{ dataDir: string }>(
  async (app, { dataDir }) => {
    const shutdown = createShutdownRecord({ database: app.database, dataDir })
    app.decorate('audit', { write: writeAudit, shutdown })
    app.lifecycle.onStart('audit', () => shutdown.recover())
  },
  { name: 'audit', dependencies: ['database'] },
)
