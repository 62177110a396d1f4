import type { FastifyPluginAsync } from 'fastify'
import { AppError } from '../core/errors.ts'
import { offer, speakHealthchecks } from '../http/healthchecks-api.ts'
import type { Monitors } from '../monitors/service.ts'
import { type History, newestMax } from './history.ts'

const single = '/api/v3/checks/:id'

type Pings = { Params: { id: string }; Querystring: { limit?: string } }
type Body = { Params: { id: string; n: string } }

/** What was received for a check: the list and each body as it came. */
export const historyRoutes: FastifyPluginAsync<{ history: History; monitors: Pick<Monitors, 'find'> }> = async (
  app,
  { history, monitors },
) => {
  speakHealthchecks(app)
  const config = { access: 'write' } as const

  app.get<Pings>(`${single}/pings/`, { exposeHeadRoute: false, config }, async (request) => {
    const { id } = request.params
    const limit = request.query.limit === undefined ? 100 : Number(request.query.limit)
    if (!Number.isInteger(limit) || limit < 1 || limit > newestMax) {
      throw new AppError('bad_request', `limit is not a whole number from 1 to ${newestMax}`, { field: 'limit' })
    }
    await monitors.find(request.caller.projectId, id)
    return { pings: await history.pings(id, limit) }
  })

  app.get<Body>(`${single}/pings/:n/body`, { exposeHeadRoute: false, config }, async (request, reply) => {
    const { id, n } = request.params
    await monitors.find(request.caller.projectId, id)
    const body = /^\d{1,15}$/.test(n) ? await history.body(id, Number(n)) : null
    if (body === null) throw new AppError('not_found', 'not found')
    return reply.type('text/plain').send(body)
  })

  offer(app, `${single}/pings/`, ['GET'])
  offer(app, `${single}/pings/:n/body`, ['GET'])
}
