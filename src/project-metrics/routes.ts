import { Readable } from 'node:stream'
import type { FastifyError, FastifyPluginAsync } from 'fastify'
import { prepare, toAppError } from '../http/errors.ts'

const base = '/projects/:project'

/**
 * The addresses of Healthchecks, with the read-only key at the end or as a bearer token. The key alone says which project is meant:
 * one that moved here has another uuid than its scrape configuration says.
 */
export const projectMetricsRoutes: FastifyPluginAsync<{ expose: (projectId: string) => Promise<string[]> }> = async (
  app,
  { expose },
) => {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    prepare(toAppError(error), request, reply)
    reply.type('text/plain').send('')
  })
  const config = { access: 'read-only', quiet: true } as const
  for (const url of [`${base}/metrics/`, `${base}/metrics/:key`, `${base}/checks/metrics/:key`]) {
    app.get(url, { exposeHeadRoute: false, config }, async (request, reply) => {
      const parts = await expose(request.caller.projectId)
      return reply.header('cache-control', 'no-store').type('text/plain').send(Readable.from(parts))
    })
  }
}
