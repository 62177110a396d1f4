import { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import type { AnswerFailure } from '../http/admission/addresses.ts'
import { prepare } from '../http/errors.ts'
import { describedOnly } from '../http/schemas/validation.ts'
import { redirectToSlash } from '../http/slashes.ts'
import { projectMetrics, projectMetricsByKey, projectMetricsOldAddress } from './schema.ts'

const base = '/projects/:project'

/**
 * The addresses of Healthchecks, with the read-only key at the end or as a bearer token. Only the key selects the
 * project: a project that moved here has another uuid than its scrape configuration says.
 */
export const projectMetricsRoutes: FastifyPluginAsync<{ expose: (projectId: string) => Promise<string[]> }> = async (
  app,
  { expose },
) => {
  redirectToSlash(app)
  const config = { requires: 'project-metrics:read', quiet: true, answer } as const
  app.setValidatorCompiler(describedOnly)
  const routes = [
    { url: `${base}/metrics/`, schema: projectMetrics },
    { url: `${base}/metrics/:key`, schema: projectMetricsByKey },
    { url: `${base}/checks/metrics/:key`, schema: projectMetricsOldAddress },
  ]
  for (const { url, schema } of routes) {
    app.get(url, { exposeHeadRoute: false, config, schema }, async (request, reply) => {
      const parts = await expose(request.caller.projectId)
      return reply.header('cache-control', 'no-store').type('text/plain').send(Readable.from(parts))
    })
  }
}

/** An answer with a status alone, as Healthchecks gives. */
const answer: AnswerFailure = (failure, request, reply) => {
  prepare(failure, request, reply)
  reply.type('text/plain').send('')
}
