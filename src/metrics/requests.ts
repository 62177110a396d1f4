// The number and the duration of requests, by method, route and status code. They are counters in flat arrays that a
// scrape reads: the client library's histogram builds a text key for each observation, and fastify-metrics a timer and
// an entry in a weak map for each request. Together that costs more than routing the request.

import type { FastifyInstance } from 'fastify'

type Registry = InstanceType<FastifyInstance['metrics']['client']['Registry']>
type Labels = Record<string, string | number>
type MetricValue = { labels: Labels; value: number; metricName?: string }

/** Upper bounds in seconds; slower requests are counted in `+Inf` alone. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

type Tally = { labels: Labels; count: number; timed: number; sum: number; buckets: Float64Array }

export type Requests = ReturnType<typeof createRequests>

export function createRequests() {
  /** By route, method and status: nested, because a joined key would allocate a text for each request. */
  const tallies = new Map<string, Map<string, Map<number | string, Tally>>>()
  const all: Tally[] = []

  function tallyOf(method: string, route: string, status: number | string): Tally {
    const known = tallies.get(route)?.get(method)?.get(status)
    if (known !== undefined) return known
    const labels = { method, route, status_code: status }
    const tally = { labels, count: 0, timed: 0, sum: 0, buckets: new Float64Array(bounds.length) }
    const byMethod = tallies.get(route) ?? new Map<string, Map<number | string, Tally>>()
    const byStatus = byMethod.get(method) ?? new Map<number | string, Tally>()
    tallies.set(route, byMethod.set(method, byStatus.set(status, tally)))
    all.push(tally)
    return tally
  }

  return {
    /** A request that its client gave up was not answered: it is counted, but its duration means nothing. */
    aborted(method: string, route: string): void {
      tallyOf(method, route, 'aborted').count++
    },

    answered(method: string, route: string, status: number, seconds: number): void {
      const tally = tallyOf(method, route, status)
      tally.count++
      tally.timed++
      tally.sum += seconds
      let bucket = 0
      while (bucket < bounds.length && seconds > (bounds[bucket] as number)) bucket++
      if (bucket < bounds.length) tally.buckets[bucket]!++
    },

    counts: (): MetricValue[] => all.map(({ labels, count }) => ({ labels, value: count })),

    durations: (name: string): MetricValue[] =>
      all.filter(({ timed }) => timed > 0).flatMap((tally) => histogram(name, tally)),
  }
}

function histogram(name: string, { labels, timed, sum, buckets }: Tally): MetricValue[] {
  let below = 0
  const series = bounds.map((le, index) => {
    below += buckets[index] as number
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
  })
  return [
    ...series,
    { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: timed },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: timed },
  ]
}

/** The two metrics, read at each scrape. */
export function registerRequests(registry: Registry, requests: Requests): void {
  const labelNames = ['method', 'route', 'status_code']
  const duration = 'http_request_duration_seconds'
  register(registry, {
    name: 'http_requests_total',
    help: 'HTTP requests by method, route and status code; a request that the client gave up has the code aborted',
    type: 'counter',
    labelNames,
    values: requests.counts,
  })
  register(registry, {
    name: duration,
    help: 'Time to answer HTTP requests, by method, route and status code',
    type: 'histogram',
    labelNames,
    values: () => requests.durations(duration),
  })
}

function register(
  registry: Registry,
  metric: {
    name: string
    help: string
    type: 'counter' | 'histogram'
    labelNames: string[]
    values: () => MetricValue[]
  },
): void {
  const { values, ...described } = metric
  const read = { ...described, get: async () => ({ ...described, aggregator: 'sum', values: values() }), reset() {} }
  // The registry needs no more of a metric than this; its type names the library's own classes.
  registry.registerMetric(read as unknown as Parameters<Registry['registerMetric']>[0])
}
