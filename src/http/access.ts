// Every route says who may call it, or the app does not boot; nor does it with a route that says so and is not guarded, because it was
// registered before accounts/plugin.ts, which decides who is calling.

import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'

/**
 * public: anybody. metrics: METRICS_TOKEN where set. admin: ADMIN_TOKEN, 404 where unset. read: any API key of a
 * project. read-only: a read-only key and no other, as a bearer token or as `key` in the path. write: a read-write key.
 * ping: the address itself is the credential; `or ping` means the project's ping key. With `or admin` ADMIN_TOKEN will
 * do, too. replica: another replica, by the token whose hash it has published.
 */
export type Access =
  | 'public'
  | 'metrics'
  | 'admin'
  | 'read'
  | 'read-only'
  | 'write'
  | 'read or admin'
  | 'write or admin'
  | 'write or ping'
  | 'ping'
  | 'replica'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** No call of its own but a refusal, or another spelling of an address. */
    undocumented?: boolean
  }
  interface FastifyInstance {
    /** Called by the plugin that guards a route. */
    guarded: (route: RouteOptions) => void
    /** Within an instance that sets it: of routes that a library registers and that do not say. */
    routeAccess?: Access
  }
}

export const accessPlugin = fp(
  async (app) => {
    const open = new Set<string>()
    const name = ({ method, url }: RouteOptions) => `${method} ${url}`
    app.decorate('guarded', (route: RouteOptions) => void open.delete(name(route)))
    app.addHook('onRoute', function (route) {
      if (this.routeAccess !== undefined) route.config = { access: this.routeAccess, ...route.config }
      const access = route.config?.access
      if (access === undefined) throw new Error(`${name(route)} does not say who may call it (config.access)`)
      if (access !== 'public' && access !== 'ping') open.add(name(route))
    })
    app.addHook('onReady', async () => {
      if (open.size > 0) throw new Error(`nobody guards ${[...open].join(', ')}`)
    })
  },
  { name: 'http-access' },
)
