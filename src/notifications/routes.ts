import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Deliveries } from './deliveries.ts'
import { ById, DeliveryQuery } from './schema.ts'

export const deliveryRoutes: FastifyPluginAsyncTypebox<{ deliveries: Deliveries }> = async (app, { deliveries }) => {
  const read = { access: 'read' } as const
  const write = { access: 'write' } as const

  for (const slash of ['', '/']) {
    app.get(`/api/v3/deliveries${slash}`, { config: read, schema: { querystring: DeliveryQuery } }, async (request) => {
      const { limit, ...filter } = request.query
      return deliveries.list(request.caller, filter, limit)
    })

    const again = `/api/v3/deliveries/:id/resend${slash}`
    app.post(again, { config: write, schema: { params: ById } }, async (request) => {
      return deliveries.resend(request.caller, request.params.id)
    })
  }
}
