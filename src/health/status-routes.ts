import type { FastifyPluginAsync } from 'fastify'
import { apiVersions } from '../http/healthchecks-api.ts'

/** Healthchecks' own probe: `OK` once the database has answered. */
export const statusRoutes: FastifyPluginAsync<{ ping: () => Promise<void> }> = async (app, { ping }) => {
  const config = { access: 'public', quiet: true } as const
  for (const version of apiVersions) {
    const url = `/api/v${version}/status/`
    app.get(url, { config }, async (_request, reply) => {
      await ping()
      return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send('OK')
    })
    app.get(url.slice(0, -1), { config }, (_request, reply) => reply.redirect(url, 301))
  }
}
