import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { ServiceAlerts } from './service.ts'

const Query = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    after: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  },
  { additionalProperties: false },
)

/** What Flatline had to say of itself, for the operator. */
export const serviceAlertRoutes: FastifyPluginAsyncTypebox<{ serviceAlerts: Pick<ServiceAlerts, 'list'> }> = async (
  app,
  { serviceAlerts },
) => {
  const config = { access: 'admin' } as const
  for (const slash of ['', '/'])
    app.get(`/api/v3/service-alerts${slash}`, { config, schema: { querystring: Query } }, async (request) => {
      return serviceAlerts.list(request.query.after ?? null, request.query.limit)
    })
}
