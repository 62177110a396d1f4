import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { quotaRoutes } from './routes.ts'
import { createQuotas, type Quotas } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    quotas: Quotas
  }
}

const refreshEveryMs = 30_000

export const quotasPlugin = fp<{ config: Config['quotas'] }>(
  async (app, { config }) => {
    const quotas = createQuotas({ database: app.database, writeAudit: app.audit.write, config })
    app.decorate('quotas', quotas)
    const loop = createLoop({
      name: 'quotas',
      intervalMs: refreshEveryMs,
      log: app.log,
      step: async () => {
        await quotas.refresh()
        return false
      },
    })
    app.lifecycle.onStart('quotas', async () => loop.start())
    app.addHook('onClose', () => loop.stop())
    await app.register(quotaRoutes, { quotas })
  },
  { name: 'quotas', dependencies: ['database', 'lifecycle', 'audit', 'auth'] },
)
