import type { FastifyPluginAsync } from 'fastify'
import { apiVersions, speakHealthchecks } from '../http/schemas/healthchecks-api.ts'
import { status } from './schema.ts'

/** Healthchecks' own probe: `OK` once the database has answered. */
export const statusRoutes: FastifyPluginAsync<{ ping: () => Promise<void> }> = async (app, { ping }) => {
  speakHealthchecks(app)
  const config = { requires: 'public', quiet: true } as const
  for (const version of apiVersions) {
    const url = `/api/v${version}/status/`
    app.get(url, { exposeHeadRoute: false, config, schema: status(version) }, async (_request, reply) => {
      await ping()
      return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send('OK')
    })
  }
}
