// Every metric that Flatline itself makes, on one page; docs/metrics.md is checked against it. They are made with fastify-metrics' own
// client in the registry that /metrics serves: a metric of any other client would never show.

import type { FastifyInstance } from 'fastify'

type Client = FastifyInstance['metrics']['client']

export type DomainMetrics = ReturnType<typeof createDomainMetrics>

export function createDomainMetrics(client: Client, registry: InstanceType<Client['Registry']>) {
  const registers = [registry]
  const queues = new Map<string, () => number | Promise<number>>()
  let countMonitors: (() => Promise<{ status: string; count: number }[]>) | undefined

  new client.Gauge({
    name: 'queue_length',
    help: 'Entries waiting, by queue',
    labelNames: ['queue'],
    registers,
    async collect() {
      for (const [queue, length] of queues) this.set({ queue }, await length())
    },
  })

  new client.Gauge({
    name: 'monitors',
    help: 'Monitors by stored status',
    labelNames: ['status'],
    registers,
    async collect() {
      const counted = (await countMonitors?.().catch(() => undefined)) ?? null
      this.reset()
      if (counted === null) return
      for (const status of ['new', 'up', 'down', 'paused']) this.set({ status }, 0)
      for (const { status, count } of counted) this.set({ status }, count)
    },
  })

  return {
    httpRequests: new client.Counter({
      name: 'http_requests_total',
      help: 'HTTP requests by method, route and status code; a request that the client gave up has the code aborted',
      labelNames: ['method', 'route', 'status_code'],
      registers,
    }),
    heartbeatsReceived: new client.Counter({
      name: 'heartbeats_received_total',
      help: 'Heartbeats by kind (success, start, fail, log, ign) and outcome (recorded, unknown, refused)',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    batchEntries: new client.Histogram({
      name: 'heartbeat_batch_size',
      help: 'Heartbeats written in one transaction',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      registers,
    }),
    batchSeconds: new client.Histogram({
      name: 'heartbeat_batch_duration_seconds',
      help: 'Time to write one batch of heartbeats',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
    flips: new client.Counter({
      name: 'flips_total',
      help: 'Status changes by old status, new status and reason',
      labelNames: ['from', 'to', 'reason'],
      registers,
    }),
    detectorLateness: new client.Histogram({
      name: 'detector_lateness_seconds',
      help: 'From a deadline to the moment its passing was noticed',
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 2, 5, 30, 300],
      registers,
    }),
    detectorRun: new client.Gauge({
      name: 'detector_last_run_timestamp_seconds',
      help: 'When the detector last finished a look',
      registers,
    }),
    deliveries: new client.Counter({
      name: 'deliveries_total',
      help: 'Delivery attempts by channel kind and outcome (sent, retrying, dead, suppressed)',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    deliverySeconds: new client.Histogram({
      name: 'delivery_duration_seconds',
      help: 'Time that one delivery attempt took, by channel kind',
      labelNames: ['kind'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),

    /** The current value of every series of the named metrics. */
    async read(names: readonly string[]): Promise<{ name: string; value: number; labels: Record<string, string> }[]> {
      const metrics = await Promise.all(names.map((name) => registry.getSingleMetric(name)?.get()))
      return metrics.flatMap((metric) =>
        (metric?.values ?? []).map(({ value, labels }) => ({
          name: metric?.name ?? '',
          value: Number(value),
          labels: Object.fromEntries(Object.entries(labels).map(([key, text]) => [key, String(text)])),
        })),
      )
    },
    /** Shows a queue's length in queue_length, read at each scrape. */
    watchQueue(queue: string, length: () => number | Promise<number>): void {
      queues.set(queue, length)
    },
    /** Shows the number of monitors by status, read at each scrape. */
    watchMonitors(count: NonNullable<typeof countMonitors>): void {
      countMonitors = count
    },
  }
}
