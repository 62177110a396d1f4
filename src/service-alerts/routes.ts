import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { listServiceAlerts, serviceAlertSchemas } from './schema.ts'
import type { ServiceAlerts } from './service.ts'

/** Alerts about the service itself, for the operator. */
export const serviceAlertRoutes: FastifyPluginAsyncTypebox<{ serviceAlerts: Pick<ServiceAlerts, 'list'> }> = async (
  app,
  { serviceAlerts },
) => {
  shareSchemas(app, serviceAlertSchemas)
  for (const slash of ['', '/']) {
    const config = { requires: 'service-alerts:read', undocumented: slash === '' } as const
    app.get(`/api/v3/service-alerts${slash}`, { config, schema: listServiceAlerts }, async (request) => {
      return serviceAlerts.list(request.query.after ?? null, request.query.limit)
    })
  }
}
