import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { unshed } from '../http/pressure.ts'
import type { Phase } from '../lifecycle/service.ts'
import type { Health } from './service.ts'

export type HealthRoutesOptions = {
  health: Health
  phase: () => Phase
  /** Names of the checks without which no heartbeat can be accepted. */
  needed: readonly string[]
  about: { version: string; environment: string }
}

/** Probes answer in every phase and under overload, to anybody, and leave no log line. */
export const healthRoutes: FastifyPluginAsync<HealthRoutesOptions> = async (app, options) => {
  const { health, phase, needed, about } = options
  const config = { access: 'public', always: true, quiet: true, ...unshed } as const
  const timestamp = () => new Date().toISOString()
  const uptime = () => Math.floor(process.uptime())

  const send = (reply: FastifyReply, well: boolean, body: object) =>
    reply
      .code(well ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(body)

  // Looks at the process alone: an outage of the database is no reason to restart anything.
  for (const url of ['/health/live', '/live', '/liveness']) {
    app.get(url, { config: { ...config, statsId: '/health/live' } }, async (_request, reply) =>
      send(reply, true, { alive: true, timestamp: timestamp(), uptime: uptime() }),
    )
  }

  for (const url of ['/health/ready', '/ready', '/readiness']) {
    app.get(url, { config: { ...config, statsId: '/health/ready' } }, async (_request, reply) => {
      const state = phase()
      const checks: Record<string, string> = { server: state }
      if (state === 'ready') {
        const report = await health.report()
        for (const name of needed) checks[name] = report.checks[name]?.status ?? 'unknown'
      }
      const reasons = Object.entries(checks)
        .filter(([, status]) => !['ready', 'healthy', 'degraded'].includes(status))
        .map(([name, status]) => `${name} is ${status}`)
      return send(reply, reasons.length === 0, { ready: reasons.length === 0, timestamp: timestamp(), checks, reasons })
    })
  }

  app.get('/health', { config }, async (_request, reply) => {
    const state = phase()
    const report = await health.report()
    const status = state === 'ready' ? report.status : 'unhealthy'
    const body = { status, timestamp: timestamp(), uptime: uptime(), ...about, phase: state, checks: report.checks }
    return send(reply, status === 'healthy' || status === 'degraded', body)
  })
}
