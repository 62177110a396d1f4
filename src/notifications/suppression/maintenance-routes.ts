import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendList } from '../../http/json-list.ts'
import { ById, NewMaintenance } from '../schema.ts'
import type { Maintenance } from './maintenance.ts'

const path = '/api/v3/maintenance'

export const maintenanceRoutes: FastifyPluginAsyncTypebox<{ maintenance: Maintenance }> = async (
  app,
  { maintenance },
) => {
  const config = { access: 'write' } as const

  for (const slash of ['', '/']) {
    const one = `${path}/:id${slash}`

    app.get(`${path}${slash}`, { config }, async (request, reply) =>
      sendList(reply, 'maintenance', maintenance.list(request.caller.projectId)),
    )

    app.post(`${path}${slash}`, { config, schema: { body: NewMaintenance } }, async (request, reply) => {
      reply.code(201)
      return maintenance.create(request.caller, request.body)
    })

    app.get(one, { config, schema: { params: ById } }, async (request) => {
      return maintenance.get(request.caller.projectId, request.params.id)
    })

    app.put(one, { config, schema: { params: ById, body: NewMaintenance } }, async (request) => {
      return maintenance.replace(request.caller, request.params.id, request.body)
    })

    app.delete(one, { config, schema: { params: ById } }, async (request, reply) => {
      await maintenance.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })
  }
}
