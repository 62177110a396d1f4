import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
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
    /** Answers before the start is complete: routes that need no database. */
    early?: boolean
  }
}

const sweepMs = 50
/** How long a client may take for the head of its first request. */
const headMs = 2000

/** Refuses work while starting, and tells clients to reconnect elsewhere while draining. */
export const lifecyclePlugin = fp(
  async (app) => {
    const lifecycle = createLifecycle(app.log)
    app.decorate('lifecycle', lifecycle)

    app.addHook('onRequest', (request, reply, done) => {
      // Otherwise close() would wait for the whole keep-alive time-out of a keep-alive socket with a request in flight.
      if (lifecycle.phase === 'draining') return closeAfter(reply, done)
      const { always, early } = request.routeOptions.config
      if (lifecycle.phase === 'ready' || always || early) return done()
      done(new AppError('unavailable', 'Flatline is starting, try again shortly', { retryAfterS: 1 }))
    })

    const silent = watchSilent(app.server)
    let sweep: NodeJS.Timeout | undefined
    app.addHook('preClose', async () => {
      lifecycle.close()
      sweep = setInterval(() => {
        app.server.closeIdleConnections()
        silent.close()
      }, sweepMs)
    })
    app.addHook('onClose', async () => clearInterval(sweep))
  },
  { name: 'lifecycle', dependencies: ['http-errors'] },
)

/**
 * Connections without a request so far. Node counts them as busy, and no longer enforces its header time-out once the
 * server closes, so one client that only connects would delay the end of the process.
 */
function watchSilent(server: FastifyInstance['server']) {
  const since = new Map<Socket, number>()
  server.on('connection', (socket: Socket) => {
    since.set(socket, performance.now())
    socket.once('close', () => since.delete(socket))
  })
  server.on('request', ({ socket }) => since.delete(socket))
  return {
    /** Ends those that have sent nothing, and those that have taken too long for their first request. */
    close(): void {
      const now = performance.now()
      for (const [socket, at] of since) if (now - at > (socket.bytesRead === 0 ? sweepMs : headMs)) socket.destroy()
    },
  }
}

function closeAfter(reply: FastifyReply, done: () => void): void {
  reply.header('connection', 'close')
  done()
}
