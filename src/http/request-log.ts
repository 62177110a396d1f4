import fp from 'fastify-plugin'
import { traceIdOf } from './request-id.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No line per request: probes, scrapes and heartbeats come by the thousand. */
    quiet?: boolean
  }
}

/** One line for each answered request, where Fastify writes two: who called what, from where, with what result. */
export const requestLogPlugin = fp(
  async (app) => {
    app.addHook('onResponse', (request, reply, done) => {
      if (!request.routeOptions.config.quiet) {
        // Nobody has asked who it is where the request was refused before.
        const { actor, projectId } = request.caller ?? {}
        const fields = {
          event: 'request',
          req: request,
          res: reply,
          durationMs: Math.round(reply.elapsedTime * 10) / 10,
          actor,
          project: projectId || undefined,
          traceId: traceIdOf(request.headers),
        }
        request.log[reply.statusCode >= 500 ? 'warn' : 'info'](fields, 'request answered')
      }
      done()
    })
  },
  { name: 'http-request-log' },
)
