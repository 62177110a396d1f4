import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { deliverySchemas, listDeliveries, resendDelivery } from './api-schema.ts'
import type { Deliveries } from './deliveries.ts'

export const deliveryRoutes: FastifyPluginAsyncTypebox<{ deliveries: Deliveries }> = async (app, { deliveries }) => {
  shareSchemas(app, deliverySchemas)

  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const read = { requires: 'deliveries:read', undocumented } as const
    const write = { requires: 'deliveries:write', undocumented } as const

    app.get(`/api/v3/deliveries${slash}`, { config: read, schema: listDeliveries }, async (request) => {
      const { limit, ...filter } = request.query
      const readOnly = !request.principal.permissions.includes('deliveries:write')
      return deliveries.list({ ...request.caller, readOnly }, filter, limit)
    })

    const again = `/api/v3/deliveries/:id/resend${slash}`
    app.post(again, { config: write, schema: resendDelivery }, async (request) => {
      return deliveries.resend(request.caller, request.params.id)
    })
  }
}
