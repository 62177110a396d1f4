// Healthchecks' calls on checks, version 3 (its catalogue, section 4). Slashes matter as they do there: collections end in one,
// single checks do not.

import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { offer, speakHealthchecks } from '../http/healthchecks-api.ts'
import { parseCheck } from './schema.ts'
import type { Monitors } from './service.ts'

const collection = '/api/v3/checks/'
const single = `${collection}:id`

type Single = { Params: { id: string } }
type Filter = { Querystring: { tag?: string | string[]; slug?: string } }

export const checkRoutes: FastifyPluginAsync<{ monitors: Monitors }> = async (app, { monitors }) => {
  speakHealthchecks(app)
  const read = { exposeHeadRoute: false, config: { access: 'read' } } as const
  const write = { config: { access: 'write' } } as const
  const document = (request: FastifyRequest, id: string) =>
    monitors.get(request.caller.projectId, id, request.caller.readOnly)

  app.get<Filter>(collection, read, async (request) => {
    const { tag, slug } = request.query
    const filter = { tags: [tag ?? []].flat(), slug: [slug].flat()[0] || null }
    return { checks: await monitors.list(request.caller.projectId, filter, request.caller.readOnly) }
  })

  app.post(collection, write, async (request, reply) => {
    const { id, created } = await monitors.create(
      request.caller,
      parseCheck(request.body === undefined ? {} : request.body),
    )
    reply.code(created ? 201 : 200)
    return document(request, id)
  })

  app.get<Single>(single, read, async (request) => document(request, request.params.id))

  app.post<Single>(single, write, async (request) => {
    await monitors.update(request.caller, request.params.id, parseCheck(request.body === undefined ? {} : request.body))
    return document(request, request.params.id)
  })

  app.delete<Single>(single, write, async (request) => monitors.remove(request.caller, request.params.id))

  app.post<Single>(`${single}/pause`, write, async (request) => {
    await monitors.pause(request.caller, request.params.id)
    return document(request, request.params.id)
  })

  app.post<Single>(`${single}/resume`, write, async (request) => {
    await monitors.resume(request.caller, request.params.id)
    return document(request, request.params.id)
  })

  offer(app, collection, ['GET', 'POST'])
  offer(app, single, ['GET', 'POST', 'DELETE'])
  offer(app, `${single}/pause`, ['POST'])
  offer(app, `${single}/resume`, ['POST'])
  app.get('/api/v3/checks', { exposeHeadRoute: false, config: { access: 'public' } }, (_request, reply) => {
    reply.redirect(collection, 301)
  })
}
