import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No line per request: probes, scrapes and heartbeats come by the thousand. */
    quiet?: boolean
  }
}

/** One line for each answered request, where Fastify writes two. */
export const requestLogPlugin = fp(
  async (app) => {
    app.addHook('onResponse', (request, reply, done) => {
      if (!request.routeOptions.config.quiet) {
        const fields = {
          event: 'request',
          req: request,
          res: reply,
          durationMs: Math.round(reply.elapsedTime * 10) / 10,
        }
        request.log.info(fields, 'request answered')
      }
      done()
    })
  },
  { name: 'http-request-log' },
)
