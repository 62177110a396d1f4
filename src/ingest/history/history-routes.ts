import type { FastifyPluginAsync } from 'fastify'
import type { Checks } from '../../checks/service.ts'
import { AppError } from '../../core/errors.ts'
import { shareSchemas } from '../../http/schemas/api-schema.ts'
import { apiVersions, speakHealthchecks } from '../../http/schemas/healthchecks-api.ts'
import { parseLimit, type Query } from '../../http/schemas/query.ts'
import { getPingBody, historySchemas, listPings } from './api-schema.ts'
import type { HeartbeatHistory } from './history.ts'

type Pings = { Params: { id: string }; Querystring: Query }
type BodyRequest = { Params: { id: string; n: string } }

/** The heartbeats of a check: the list, and each body as it was received. */
export const historyRoutes: FastifyPluginAsync<{ history: HeartbeatHistory; checks: Pick<Checks, 'find'> }> = async (
  app,
  { history, checks },
) => {
  speakHealthchecks(app)
  shareSchemas(app, historySchemas)
  const options = { exposeHeadRoute: false, config: { requires: 'heartbeats:read' } } as const

  for (const version of apiVersions) {
    const list = `/api/v${version}/checks/:id/pings/`
    const bodyOf = `${list}:n/body`

    app.get<Pings>(list, { ...options, schema: listPings(version) }, async (request) => {
      const { id } = request.params
      const limit = parseLimit(request.query.limit)
      await checks.find(request.caller.projectId, id)
      return { pings: await history.pings(id, version, limit) }
    })

    app.get<BodyRequest>(bodyOf, { ...options, schema: getPingBody(version) }, async (request, reply) => {
      const { id, n } = request.params
      await checks.find(request.caller.projectId, id)
      const body = /^\d{1,15}$/.test(n) ? await history.body(id, Number(n)) : null
      if (body === null) throw new AppError('not_found', 'not found')
      return reply.type('text/plain').send(body)
    })
  }
}
