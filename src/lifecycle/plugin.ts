import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from '../core/errors.ts'
import { createLifecycle, type Lifecycle } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: Lifecycle
  }
  interface FastifyContextConfig {
    /** Answers in every phase: probes and metrics. */
    always?: boolean
  }
}

/** Refuses work while starting, and tells clients to reconnect elsewhere while draining. */
export const lifecyclePlugin = fp(
  async (app) => {
    const lifecycle = createLifecycle(app.log)
    app.decorate('lifecycle', lifecycle)

    app.addHook('onRequest', (request, reply, done) => {
      if (lifecycle.phase === 'ready' || request.routeOptions.config.always) return done()
      // A keep-alive socket with a request in flight would hold close() back for the whole keep-alive time-out.
      if (lifecycle.phase === 'draining') return closeAfter(reply, done)
      done(new AppError('unavailable', 'Flatline is starting, try again shortly', { retryAfterS: 1 }))
    })

    let sweep: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      lifecycle.drain()
      sweep = setInterval(() => app.server.closeIdleConnections(), 50)
    })
    app.addHook('onClose', async () => clearInterval(sweep))
  },
  { name: 'lifecycle', dependencies: ['http-errors'] },
)

function closeAfter(reply: FastifyReply, done: () => void): void {
  reply.header('connection', 'close')
  done()
}
