import { hostname } from 'node:os'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyMetrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import { type Config, version } from '../config/load.ts'
import { neverShed } from '../http/admission/pressure.ts'
import { refusals, text } from '../http/schemas/api-schema.ts'
import { bothForms } from '../http/slashes.ts'
import { createDomainMetrics, type DomainMetrics } from './domain.ts'
import { createMetricsListener } from './listener.ts'
import { createServiceLevel, type ServiceLevel } from './service-level.ts'

declare module 'fastify' {
  interface FastifyInstance {
    domainMetrics: DomainMetrics
    /** How reliably and fast requests were answered lately. */
    serviceLevel: ServiceLevel
    /** What /metrics serves. */
    metricsRegistry: { contentType: string; metrics(): Promise<string>; getMetricsAsJSON(): Promise<unknown> }
  }
}

const windows = { '5m': 5, '1h': 60, '24h': 1440 }

/** HTTP, process and domain metrics in a registry of this app, and GET /metrics. */
export const metricsPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { default: client } = await import('@prometheus-io/client')
    const registry = new client.Registry()
    await app.register(fastifyMetrics.default, {
      endpoint: null,
      promClient: client,
      defaultMetrics: { enabled: true, register: registry },
      // requests.ts counts requests under the same names, much more cheaply.
      routeMetrics: { enabled: false },
    })
    const metrics = createDomainMetrics(client, registry, config.features.metricsTenantsMax)
    app.decorate('domainMetrics', metrics)
    app.decorate('metricsRegistry', registry)
    const serviceLevel = createServiceLevel(Date.now)
    app.decorate('serviceLevel', serviceLevel)
    countRequests(app, metrics, serviceLevel)
    observeProcess(app, metrics, config.environment)
    if (config.features.metricsPort !== undefined) openListener(app, config.server.host, config.features.metricsPort)
  },
  { name: 'metrics', dependencies: ['http-requirements'] },
)

const metricsSchema = {
  operationId: 'metrics',
  tags: ['service'],
  summary: "The service's own metrics for Prometheus",
  response: { 200: text("Prometheus' text format", '# TYPE app_ready gauge\napp_ready 1\n') },
  refusals: refusals(401),
}

/** A plugin of its own, because every module needs the metrics, and authentication is registered only after them. */
export const metricsRoutePlugin = fp(
  async (app) => {
    const { metricsRegistry: registry } = app
    const config = { requires: 'metrics:read', always: true, quiet: true, disableMetrics: true, ...neverShed } as const
    for (const { url, form } of bothForms('/metrics')) {
      app.get(url, { config: { ...config, ...form }, schema: metricsSchema }, async (_request, reply) =>
        reply.type(registry.contentType).send(await registry.metrics()),
      )
    }
  },
  { name: 'metrics-route', dependencies: ['metrics', 'auth', 'http-pressure'] },
)

function openListener(app: FastifyInstance, host: string, wanted: number): void {
  const listener = createMetricsListener((request, response) => app.routing(request, response))
  // Before the main listener, so that a port that is in use stops the start like the main port does.
  app.addHook('onReady', async () => {
    const port = await listener.listen(host, wanted)
    app.log.info({ event: 'metrics.listening', port }, `serving metrics on port ${port}`)
  })
  app.addHook('onClose', () => listener.close())
}

function countRequests(app: FastifyInstance, { requests, observe }: DomainMetrics, serviceLevel: ServiceLevel): void {
  const routeOf = ({ routeOptions: { config, url } }: FastifyRequest) => config?.statsId ?? url ?? '__unknown__'
  app.addHook('onResponse', (request, reply, done) => {
    const seconds = reply.elapsedTime / 1000
    const { config } = request.routeOptions
    if (!config.disableMetrics) requests.answered(request.method, routeOf(request), reply.statusCode, seconds)
    // Probes and scrapes do not count: their number would hide how the requests of users were answered.
    if (!config.always) serviceLevel.record(seconds, reply.statusCode >= 500)
    done()
  })
  app.addHook('onRequestAbort', (request, done) => {
    requests.aborted(request.method, routeOf(request))
    done()
  })

  const levels = (value: (level: ReturnType<typeof serviceLevel.level>) => number | null) => () =>
    Object.entries(windows).flatMap(([window, minutes]) => {
      const figure = value(serviceLevel.level(minutes))
      return figure === null ? [] : [{ value: figure, labels: { window } }]
    })
  observe(
    'sla_availability_ratio',
    levels(({ availability }) => availability),
  )
  observe(
    'error_rate_ratio',
    levels(({ errorRate }) => errorRate),
  )
  observe(
    'sla_latency_p95_seconds',
    levels(({ p95 }) => p95),
  )
  observe(
    'sla_latency_p99_seconds',
    levels(({ p99 }) => p99),
  )
}

function observeProcess(app: FastifyInstance, { observe }: DomainMetrics, environment: string): void {
  const labels = { version, environment, node: hostname() }
  observe('build_info', () => [{ value: 1, labels }])
  observe('memory_usage_bytes', () => {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
    const byType = { rss, heap_used: heapUsed, heap_total: heapTotal, external }
    return Object.entries(byType).map(([type, value]) => ({ value, labels: { type } }))
  })
  observe('active_connections', async () => {
    const value = await new Promise<number>((resolve) => {
      app.server.getConnections((error, count) => resolve(error ? 0 : count))
    })
    return [{ value }]
  })
}
