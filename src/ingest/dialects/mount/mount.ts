// Serves a dialect: converts each request into signals, passes them to the service, and answers. Success is answered only
// once the heartbeat is on disk.

import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from '../../../config/load.ts'
import { answersPreflights } from '../../../http/admission/cross-origin.ts'
import { neverShed } from '../../../http/admission/pressure.ts'
import type { Dialect, ListenerDialect } from '../dialect.ts'
import { routeOfPings } from './pings.ts'
import { routeOfUploads } from './uploads.ts'

/** Encapsulated, so that each dialect reads bodies in its own way. */
export const mount: FastifyPluginAsync<{ dialect: Dialect; config: Config }> = async (app, { dialect, config }) => {
  if (dialect.kind === 'listener') return openListener(app, dialect, config)
  const route = dialect.kind === 'pings' ? routeOfPings(app, dialect, config) : routeOfUploads(app, dialect, config)
  const methods = [...dialect.methods]
  for (const { path: url, label, schema, isAlias } of dialect.routes) {
    const shared = {
      quiet: true,
      // The spool takes heartbeats before there is a database.
      early: app.heartbeats.failover !== null,
      statsId: label,
      undocumented: isAlias,
      ...neverShed,
    }
    const routeConfig = { ...shared, ...route.config }
    app.route({ method: methods, url, schema, exposeHeadRoute: false, ...route, config: routeConfig })
    if (!answersPreflights(url))
      app.options(url, { config: routeConfig }, (_request, reply) =>
        reply.headers(preflightOf(methods)).code(204).send(),
      )
  }
}

async function openListener(app: FastifyInstance, { open }: ListenerDialect, config: Config): Promise<void> {
  const listener = await open(app, config)
  if (listener === null) return
  app.addHook('onReady', listener.listen)
  app.addHook('onClose', listener.close)
}

function preflightOf(methods: readonly string[]) {
  return {
    'access-control-allow-origin': '*',
    'access-control-allow-headers': '*',
    'access-control-allow-methods': [...methods, 'OPTIONS'].join(', '),
    'access-control-max-age': '600',
  }
}
