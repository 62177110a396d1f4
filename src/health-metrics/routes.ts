import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AppError } from '../core/errors.ts'
import { parseInstant } from '../kit/instant.ts'
import { listHealthMetricNames, listHealthMetrics } from './schema.ts'
import type { HealthMetrics } from './service.ts'

const hourMs = 3_600_000
/** The approximate number of points if no step is given. */
const pointsDefault = 240
const pointsMax = 11_000

/** Samples of the service itself, readable with any key, because they name no project. */
export const healthMetricsRoutes: FastifyPluginAsyncTypebox<{
  healthMetrics: Pick<HealthMetrics, 'series' | 'names' | 'now'>
  intervalMs: number
}> = async (app, { healthMetrics, intervalMs }) => {
  const path = '/api/v3/health-metrics'

  for (const slash of ['', '/']) {
    const config = { requires: 'health-metrics:read', undocumented: slash === '' } as const
    app.get(`${path}${slash}`, { config, schema: listHealthMetrics }, async (request) => {
      const { name, step } = request.query
      const tags = [request.query.tags ?? []].flat()
      const to = instant('to', request.query.to) ?? healthMetrics.now()
      const from = instant('from', request.query.from) ?? to - hourMs
      if (from >= to) throw new AppError('bad_request', 'from must be before to', { field: 'from' })
      const lengthS = (to - from) / 1000
      const stepS = step ?? Math.max(Math.ceil(intervalMs / 1000), Math.ceil(lengthS / pointsDefault))
      if (lengthS / stepS > pointsMax) {
        const least = Math.ceil(lengthS / pointsMax)
        const problem = `step must be at least ${least} for this time: an answer has at most ${pointsMax} points`
        throw new AppError('bad_request', problem, { field: 'step' })
      }
      return healthMetrics.series({ name, from, to, stepS, tags: parseTags(tags) })
    })

    app.get(`${path}/names${slash}`, { config, schema: listHealthMetricNames }, async () => ({
      names: await healthMetrics.names(),
    }))
  }
}

/** Unix seconds, or ISO 8601. */
function instant(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const at = /^\d{1,11}(\.\d{1,3})?$/.test(text) ? Number(text) * 1000 : parseInstant(text)
  if (at === null) {
    throw new AppError('bad_request', `${field} must be unix seconds or an ISO 8601 instant with a zone`, { field })
  }
  return at
}

/** `queue:heartbeats,node:a`: all of them must match. */
function parseTags(texts: readonly string[]): Record<string, string> {
  const pairs = texts
    .flatMap((text) => text.split(','))
    .map((pair): [string, string] => {
      const [, key, value] = /^([a-zA-Z_]\w*):(.*)$/.exec(pair) ?? []
      if (key === undefined || value === undefined)
        throw new AppError('bad_request', 'tags must be key:value, separated by commas', { field: 'tags' })
      return [key, value]
    })
  return Object.fromEntries(pairs)
}
