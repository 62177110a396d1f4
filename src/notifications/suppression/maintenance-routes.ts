import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../../http/api-schema.ts'
import { sendList } from '../../http/json-list.ts'
import {
  createMaintenance,
  deleteMaintenance,
  getMaintenance,
  listMaintenance,
  replaceMaintenance,
  suppressionSchemas,
} from './api-schema.ts'
import type { Maintenance } from './maintenance.ts'

const path = '/api/v3/maintenance'

export const maintenanceRoutes: FastifyPluginAsyncTypebox<{ maintenance: Maintenance }> = async (
  app,
  { maintenance },
) => {
  shareSchemas(app, suppressionSchemas)

  for (const slash of ['', '/']) {
    const config = { access: 'write', undocumented: slash === '' } as const
    const one = `${path}/:id${slash}`

    app.get(`${path}${slash}`, { config, schema: listMaintenance }, async (request, reply) =>
      sendList(reply, 'maintenance', maintenance.list(request.caller.projectId)),
    )

    app.post(`${path}${slash}`, { config, schema: createMaintenance }, async (request, reply) => {
      reply.code(201)
      return maintenance.create(request.caller, request.body)
    })

    app.get(one, { config, schema: getMaintenance }, async (request) => {
      return maintenance.get(request.caller.projectId, request.params.id)
    })

    app.put(one, { config, schema: replaceMaintenance }, async (request) => {
      return maintenance.replace(request.caller, request.params.id, request.body)
    })

    app.delete(one, { config, schema: deleteMaintenance }, async (request, reply) => {
      await maintenance.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })
  }
}
