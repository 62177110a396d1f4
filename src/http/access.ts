// Every route says who may call it, or the app does not boot. Who is calling is decided by auth/plugin.ts.

import fp from 'fastify-plugin'

/**
 * public: anybody. metrics: METRICS_TOKEN where set. admin: ADMIN_TOKEN, 404 where unset. read: any API key of a project.
 * write: a read-write key. ping: the address itself is the credential.
 */
export type Access = 'public' | 'metrics' | 'admin' | 'read' | 'write' | 'ping'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
}

export const accessPlugin = fp(
  async (app) => {
    app.addHook('onRoute', ({ method, url, config }) => {
      if (config?.access === undefined) throw new Error(`${method} ${url} does not say who may call it (config.access)`)
    })
  },
  { name: 'http-access' },
)
