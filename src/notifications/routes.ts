import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../http/api-schema.ts'
import { deliverySchemas, listDeliveries, resendDelivery } from './api-schema.ts'
import type { Deliveries } from './deliveries.ts'

export const deliveryRoutes: FastifyPluginAsyncTypebox<{ deliveries: Deliveries }> = async (app, { deliveries }) => {
  shareSchemas(app, deliverySchemas)

  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const read = { access: 'read', undocumented } as const
    const write = { access: 'write', undocumented } as const

    app.get(`/api/v3/deliveries${slash}`, { config: read, schema: listDeliveries }, async (request) => {
      const { limit, ...filter } = request.query
      return deliveries.list(request.caller, filter, limit)
    })

    const again = `/api/v3/deliveries/:id/resend${slash}`
    app.post(again, { config: write, schema: resendDelivery }, async (request) => {
      return deliveries.resend(request.caller, request.params.id)
    })
  }
}
