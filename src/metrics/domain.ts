// Every metric that Flatline itself makes, on one page; docs/metrics.md is checked against it. They are made with fastify-metrics' own
// client in the registry that /metrics serves: a metric of any other client would never show.

import type { FastifyInstance } from 'fastify'
import type { BreakerPhase } from '../core/breaker.ts'
import type { PoolState } from '../database/service.ts'

type Client = FastifyInstance['metrics']['client']

const poolHelp: Record<keyof PoolState, string> = {
  active: 'Database connections in use',
  idle: 'Database connections open and not in use',
  waiting: 'Callers waiting for a database connection',
  max: 'Most database connections that this process opens',
}

/** Alerts compare with these numbers, so they never move. */
const breakerNumbers: Record<BreakerPhase, number> = { closed: 0, open: 1, half_open: 2 }
/** Of the breakers of one kind the worst is shown. */
const worstLast: BreakerPhase[] = ['closed', 'half_open', 'open']

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

  let breakerStates: () => { kind: string; state: BreakerPhase }[] = () => []
  new client.Gauge({
    name: 'circuit_breaker_state',
    help: 'The worst state of the circuit breakers of one kind (database or that of a channel): 0 closed, 1 open, 2 half-open',
    labelNames: ['name'],
    registers,
    collect() {
      this.reset()
      const states = breakerStates()
      for (const phase of worstLast)
        for (const { kind, state } of states) if (state === phase) this.set({ name: kind }, breakerNumbers[state])
    },
  })

  let poolState: () => PoolState | null = () => null
  for (const [state, help] of Object.entries(poolHelp)) {
    new client.Gauge({
      name: `database_connections_${state}`,
      help,
      registers,
      collect() {
        this.set(poolState()?.[state as keyof PoolState] ?? 0)
      },
    })
  }

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
    databaseSeconds: new client.Histogram({
      name: 'database_query_duration_seconds',
      help: 'Time that one statement took, waiting for a connection included, by name',
      labelNames: ['statement'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5],
      registers,
    }),
    databaseAttempts: new client.Counter({
      name: 'db_connection_attempts_total',
      help: 'Uses of the database that needed a connection',
      registers,
    }),
    databaseFailures: new client.Counter({
      name: 'db_connection_failures_total',
      help: 'Uses of the database that failed because it could not be reached, by reason (refused, reset, shutdown, timeout, exhausted, …)',
      labelNames: ['reason'],
      registers,
    }),
    deliverySeconds: new client.Histogram({
      name: 'delivery_duration_seconds',
      help: 'Time that one delivery attempt took, by channel kind',
      labelNames: ['kind'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    breakerTransitions: new client.Counter({
      name: 'circuit_breaker_transitions_total',
      help: 'Changes of state of circuit breakers, by kind, old and new state (closed, open, half_open)',
      labelNames: ['name', 'from', 'to'],
      registers,
    }),
    breakerRejections: new client.Counter({
      name: 'circuit_breaker_rejections_total',
      help: 'Calls that a circuit breaker refused, by kind; deliveries are not called but wait, and do not count',
      labelNames: ['name'],
      registers,
    }),
    breakerRequests: new client.Counter({
      name: 'circuit_breaker_requests_total',
      help: 'Calls that went through a circuit breaker, by kind and outcome (success, failure)',
      labelNames: ['name', 'outcome'],
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
    /** Shows the pool of database connections, read at each scrape; null while it is not open. */
    watchPool(read: typeof poolState): void {
      poolState = read
    },
    /** Shows the circuit breakers, read at each scrape. */
    watchBreakers(read: typeof breakerStates): void {
      breakerStates = read
    },
    /** Shows the number of monitors by status, read at each scrape. */
    watchMonitors(count: NonNullable<typeof countMonitors>): void {
      countMonitors = count
    },
  }
}
