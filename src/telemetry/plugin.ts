import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Telemetry } from './service.ts'
import type { Tracing } from './tracing.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Null unless traces are exported. */
    tracing: Tracing | null
  }
}

/** Registered before all routes and hooks, and therefore closed last: what the others log at their end is still sent. */
export const telemetryPlugin = fp<{ telemetry: Telemetry | null }>(
  async (app, { telemetry }) => {
    const tracing = telemetry?.openTelemetry?.tracing ?? null
    app.decorate('tracing', tracing)
    if (telemetry === null) return
    app.addHook('onClose', () => telemetry.close())
    if (tracing !== null) await traceRequests(app, tracing)
    app.addHook('onReady', async () => telemetry.openTelemetry?.start(app.log, app.metricsRegistry))
  },
  { name: 'telemetry' },
)

/** One span for each request. The plugin's spans for each hook would be twenty times as many, and say nothing here. */
async function traceRequests(app: FastifyInstance, tracing: Tracing): Promise<void> {
  const { FastifyOtelInstrumentation } = await import('@fastify/otel')
  // Probes and scrapes come every few seconds and are of no interest.
  app.addHook('onRoute', (route) => {
    if (route.config?.always) route.config = { ...route.config, otel: false }
  })
  const instrumentation = new FastifyOtelInstrumentation({
    instrumentHooks: false,
    instrumentHandler: false,
    recordExceptions: false,
    requestHook(span, request: FastifyRequest) {
      const { url } = request.routeOptions
      // The address of a ping is its credential: the path is that of the route, and nothing if there is none.
      span.setAttribute('url.path', url ?? '')
      span.setAttribute('flatline.request_id', request.id)
      span.updateName(url === undefined ? request.method : `${request.method} ${url}`)
      tracing.remember(request.id, span)
    },
  })
  instrumentation.setTracerProvider(tracing.provider)
  await app.register(instrumentation.plugin())
}
