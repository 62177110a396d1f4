import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sendList } from '../../http/body/json-list.ts'
import { shareSchemas } from '../../http/schemas/api-schema.ts'
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
    const undocumented = slash === ''
    const read = { requires: 'maintenance:read', undocumented } as const
    const write = { requires: 'maintenance:write', undocumented } as const
    const one = `${path}/:id${slash}`

    app.get(`${path}${slash}`, { config: read, schema: listMaintenance }, async (request, reply) =>
      sendList(reply, 'maintenance', maintenance.list(request.caller.projectId)),
    )

    app.post(`${path}${slash}`, { config: write, schema: createMaintenance }, async (request, reply) => {
      reply.code(201)
      return maintenance.create(request.caller, request.body)
    })

    app.get(one, { config: read, schema: getMaintenance }, async (request) => {
      return maintenance.get(request.caller.projectId, request.params.id)
    })

    app.put(one, { config: write, schema: replaceMaintenance }, async (request) => {
      return maintenance.replace(request.caller, request.params.id, request.body)
    })

    app.delete(one, { config: write, schema: deleteMaintenance }, async (request, reply) => {
      await maintenance.remove(request.caller, request.params.id)
      return reply.code(204).send()
    })
  }
}
