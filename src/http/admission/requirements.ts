// Every route says what it requires of its callers, or the app does not boot. Nor does it boot with a route that
// requires something but is not guarded, because it was registered before accounts/plugin.ts, which authenticates the
// caller.

import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Requirement } from '../../core/permissions.ts'
import type { Authenticator } from './authenticator.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    requires?: Requirement
    /** Not a call of its own but a refusal, or another spelling of an address. */
    undocumented?: boolean
  }
  interface FastifyInstance {
    /** In the order in which they are asked. */
    authenticators: Authenticator[]
    /** Called by the plugin that guards a route. */
    guarded: (route: RouteOptions) => void
    /** Within an instance that sets it: the requirement of routes that a library registers without one. */
    routeRequires?: Requirement
  }
}

const unguarded: readonly Requirement[] = ['public', 'probe', 'ingest']

export const requirementsPlugin = fp(
  async (app) => {
    const open = new Set<string>()
    const name = ({ method, url }: RouteOptions) => `${method} ${url}`
    app.decorate('authenticators', [])
    app.decorate('guarded', (route: RouteOptions) => void open.delete(name(route)))
    app.addHook('onRoute', function (route) {
      if (this.routeRequires !== undefined) route.config = { requires: this.routeRequires, ...route.config }
      const requires = route.config?.requires
      if (requires === undefined)
        throw new Error(`${name(route)} does not say what it requires of its callers (config.requires)`)
      if (!unguarded.includes(requires)) open.add(name(route))
    })
    app.addHook('onReady', async () => {
      if (open.size > 0) throw new Error(`no plugin guards ${[...open].join(', ')}`)
    })
  },
  { name: 'http-requirements' },
)
