import fp from 'fastify-plugin'
import { traceIdOf } from './request-id.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No line per request, for routes with thousands of requests: probes, scrapes and heartbeats. */
    quiet?: boolean
  }
}

/** One line for each answered request, where Fastify writes two: who called what, from where, with what result. */
export const requestLogPlugin = fp(
  async (app) => {
    app.addHook('onResponse', (request, reply, done) => {
      if (!request.routeOptions.config.quiet) {
        // The caller is unknown if the request was refused before authentication.
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
