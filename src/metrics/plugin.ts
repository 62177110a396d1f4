import type { FastifyRequest } from 'fastify'
import fastifyMetrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import { unshed } from '../http/pressure.ts'
import { createDomainMetrics, type DomainMetrics } from './domain.ts'

declare module 'fastify' {
  interface FastifyInstance {
    domainMetrics: DomainMetrics
  }
}

/** HTTP, process and domain metrics in one registry of this app's own, and GET /metrics. */
export const metricsPlugin = fp(
  async (app) => {
    const { default: client } = await import('@prometheus-io/client')
    const registry = new client.Registry()
    await app.register(fastifyMetrics.default, {
      endpoint: null,
      promClient: client,
      defaultMetrics: { enabled: true, register: registry },
      routeMetrics: {
        // The summary cannot be added up over replicas and costs a tenth of the throughput.
        enabled: { histogram: true, summary: false },
        registeredRoutesOnly: false,
        methodBlacklist: [],
        overrides: { histogram: { registers: [registry] }, summary: { registers: [new client.Registry()] } },
      },
    })
    const metrics = createDomainMetrics(client, registry)
    app.decorate('domainMetrics', metrics)

    const count = (request: FastifyRequest, status: string) =>
      metrics.httpRequests.inc({
        method: request.method,
        route: request.routeOptions.url ?? '__unknown__',
        status_code: status,
      })
    app.addHook('onResponse', (request, reply, done) => {
      count(request, String(reply.statusCode))
      done()
    })
    app.addHook('onRequestAbort', (request, done) => {
      count(request, 'aborted')
      done()
    })

    const config = { access: 'metrics', always: true, quiet: true, disableMetrics: true, ...unshed } as const
    app.get('/metrics', { config }, async (_request, reply) => {
      return reply.type(registry.contentType).send(await registry.metrics())
    })
  },
  { name: 'metrics', dependencies: ['http-access'] },
)
