import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { neverShed } from '../http/admission/pressure.ts'
import { apiVersions, speakHealthchecks } from '../http/schemas/healthchecks-api.ts'
import { bothForms } from '../http/slashes.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Phase } from '../lifecycle/service.ts'
import type { Readiness } from './readiness.ts'
import * as schemas from './schema.ts'
import type { Health, HealthReport } from './service.ts'

/** What /status shows beside the checks. Instants in epoch milliseconds; `lastRun` is 0 if never. */
type StatusFigures = {
  heartbeatsProcessed: number
  lastRun: number
  dataStalenessMs: number
  maxStalenessMs: number
  blindWindows: readonly { from: number; to: number }[]
}

export type HealthRoutesOptions = {
  health: Health
  phase: () => Phase
  readiness: () => Promise<Readiness>
  about: { version: string; environment: string }
  figures: () => Promise<StatusFigures>
  /** Whether this caller may see more than the status. */
  seesDetails: (request: FastifyRequest) => boolean
}

const blindWindowsMax = 10
/** Probes answer in every phase, under overload and to anybody, and write no log line. */
export const healthRoutes: FastifyPluginAsync<HealthRoutesOptions> = async (app, options) => {
  const { health, phase, readiness, about, seesDetails } = options
  const config = { requires: 'probe', always: true, quiet: true, ...neverShed } as const
  const timestamp = () => new Date().toISOString()
  const uptime = () => Math.floor(process.uptime())

  const send = (reply: FastifyReply, well: boolean, body: object) => reply.code(well ? 200 : 503).send(body)

  // Checks the process alone: an outage of the database is no reason to restart a process.
  for (const { url, form } of bothForms('/health/live', '/live', '/liveness')) {
    const schema = schemas.live(form.statsId)
    app.get(url, { config: { ...config, ...form, statsId: '/health/live' }, schema }, async (_request, reply) =>
      send(reply, true, { alive: true, timestamp: timestamp(), uptime: uptime() }),
    )
  }

  for (const { url, form } of bothForms('/health/ready', '/ready', '/readiness')) {
    const schema = schemas.readiness(form.statsId)
    app.get(url, { config: { ...config, ...form, statsId: '/health/ready' }, schema }, async (_request, reply) => {
      const { ready, checks, reasons } = await readiness()
      return send(reply, ready, { ready, timestamp: timestamp(), checks, reasons })
    })
  }

  for (const { url, form } of bothForms('/health')) {
    app.get(url, { config: { ...config, ...form }, schema: schemas.health }, async (request, reply) => {
      const state = phase()
      const report = await health.report()
      const status = state === 'ready' ? report.status : 'unhealthy'
      const brief = { status, timestamp: timestamp() }
      const details = { uptime: uptime(), ...about, phase: state, services: servicesOf(report), checks: report.checks }
      return send(reply, status !== 'unhealthy', seesDetails(request) ? { ...brief, ...details } : brief)
    })
  }

  /** A summary for people and dashboards; 200 also when the status is bad, because it is not a probe. */
  for (const { url, form } of bothForms('/status')) {
    app.get(url, { config: { ...config, ...form }, schema: schemas.summary }, async (request, reply) => {
      const state = phase()
      const report = await health.report()
      const status = state === 'ready' ? report.status : 'unhealthy'
      if (!seesDetails(request)) return send(reply, true, { status, timestamp: timestamp() })
      const { heartbeatsProcessed, lastRun, dataStalenessMs, maxStalenessMs, blindWindows } = await options.figures()
      const newest = blindWindows.slice(-blindWindowsMax).reverse()
      return send(reply, true, {
        status,
        timestamp: timestamp(),
        ...about,
        uptime_seconds: uptime(),
        events_processed: heartbeatsProcessed,
        heartbeats_processed: heartbeatsProcessed,
        last_run: lastRun === 0 ? null : isoMillis(lastRun),
        data_staleness_ms: dataStalenessMs,
        max_staleness_ms: maxStalenessMs,
        blind_windows: newest.map(({ from, to }) => ({ from: isoMillis(from), to: isoMillis(to) })),
      })
    })
  }
}

function servicesOf({ checks }: HealthReport): Record<string, string> {
  return Object.fromEntries(Object.entries(checks).map(([name, { status }]) => [name, status]))
}

/** Healthchecks' own probe: `OK` once the database has answered. */
export const statusRoutes: FastifyPluginAsync<{ ping: () => Promise<void> }> = async (app, { ping }) => {
  speakHealthchecks(app)
  const config = { requires: 'public', quiet: true } as const
  for (const version of apiVersions) {
    const url = `/api/v${version}/status/`
    app.get(url, { exposeHeadRoute: false, config, schema: schemas.status(version) }, async (_request, reply) => {
      await ping()
      return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send('OK')
    })
  }
}
