// All metrics that Flatline itself defines; docs/metrics.md is checked against this file. They use fastify-metrics' own
// client and the registry that /metrics serves: a metric of any other client would never appear.

import { createObservedGauges, type MetricsClient } from './observed.ts'
import { createRequests, registerRequests } from './requests.ts'

export type DomainMetrics = ReturnType<typeof createDomainMetrics>

/** Gauges that are read at each scrape, by `observe`. */
const observed = {
  active_connections: { help: 'Open connections of clients' },
  app_ready: { help: 'Whether /health/ready of this process answers 200' },
  app_started: { help: 'Whether this process has started and does not drain' },
  blind_time_seconds: { help: 'Total length of the stored blind windows, in which no replica could accept heartbeats' },
  blind_windows: { help: 'Stored blind windows, in which no replica could accept heartbeats' },
  build_info: {
    help: 'Always 1; the labels describe the build and its environment',
    labels: ['version', 'environment', 'node'],
  },
  circuit_breaker_state: {
    help: 'The worst state of the circuit breakers of one kind (database, redis or that of a channel): 0 closed, 1 open, 2 half-open',
    labels: ['name'],
  },
  container_memory_limit_bytes: { help: 'Memory that this process may use: of its container, or of the machine' },
  cpu_limit_cores: { help: 'Processor cores that this process may use: of its container, or of the machine' },
  data_staleness_ms: {
    help: 'Age of the oldest heartbeat that was received here and is not in the database, in milliseconds',
    labels: ['node'],
  },
  data_staleness_seconds: {
    help: 'Age of the oldest heartbeat that was received here and is not in the database',
    labels: ['node'],
  },
  database_connections_active: { help: 'Database connections in use' },
  database_connections_idle: { help: 'Database connections open and not in use' },
  database_connections_max: { help: 'Maximum number of database connections that this process opens' },
  database_connections_waiting: { help: 'Callers waiting for a database connection' },
  error_rate_ratio: { help: 'Share of requests answered 5xx over a window (5m, 1h, 24h)', labels: ['window'] },
  health_check_duration_seconds: { help: 'Time that a check of /health took', labels: ['check'] },
  health_check_status: {
    help: 'Result of a check of /health: 0 healthy, 1 degraded, 2 unhealthy, 3 unknown',
    labels: ['check'],
  },
  health_status: { help: 'The status of /health: 0 healthy, 1 degraded, 2 unhealthy, 3 unknown' },
  heap_limit_bytes: { help: 'Size of the JavaScript heap at which Node.js ends the process' },
  max_staleness_ms: { help: 'The configured limit of data_staleness_ms, in milliseconds' },
  memory_usage_bytes: {
    help: 'Memory of this process by type (rss, heap_used, heap_total, external)',
    labels: ['type'],
  },
  monitors: { help: 'Checks by stored status', labels: ['status'] },
  quarantined_heartbeats: { help: 'Heartbeats in the quarantine: acknowledged, and refused by the database' },
  queue_length: { help: 'Entries waiting, by queue', labels: ['queue'] },
  replicas_expected: { help: 'How many replicas should run at least, as configured; 0 if that is not known' },
  request_body_bytes: { help: 'Bytes of request bodies in memory: being read, or waiting for their answer' },
  shutdown_phase: { help: '0 while the process runs, 1 while it drains and closes' },
  sla_availability_ratio: {
    help: 'Share of requests not answered 5xx over a window (5m, 1h, 24h); 1 without requests',
    labels: ['window'],
  },
  sla_latency_p95_seconds: {
    help: '95th percentile of the time to answer over a window (5m, 1h, 24h)',
    labels: ['window'],
  },
  sla_latency_p99_seconds: {
    help: '99th percentile of the time to answer over a window (5m, 1h, 24h)',
    labels: ['window'],
  },
  spool_bytes: { help: 'Bytes of heartbeats on disk that are not in the database yet' },
  spool_replay_stalled_seconds: {
    help: 'How long the replay of the spool has failed while the database answered; 0 while it makes progress',
  },
  spool_records: { help: 'Heartbeats on disk that are not in the database yet' },
  unreachable_projects: {
    help: 'Projects with checks whose channels are all switched off: nobody is alerted about them',
  },
}

export function createDomainMetrics(
  client: MetricsClient,
  registry: InstanceType<MetricsClient['Registry']>,
  tenantsMax = 0,
) {
  const registers = [registry]
  const requests = createRequests()
  registerRequests(registry, requests)

  return {
    /** The `tenant` label of a project. */
    tenant: createTenantLabels(tenantsMax),

    /** Adds a reader to a gauge; a reader that queries the database gives `everyMs`. */
    observe: createObservedGauges(client, registry, observed),

    requests,
    connectionsRefused: new client.Counter({
      name: 'connections_refused_total',
      help: 'Client connections that were closed at once, because there were too many',
      registers,
    }),
    rateLimited: new client.Counter({
      name: 'rate_limited_total',
      help: 'Calls answered 429 by scope (management, admin, auth)',
      labelNames: ['scope'],
      registers,
    }),
    heartbeatsReceived: new client.Counter({
      name: 'heartbeats_received_total',
      help: 'Heartbeats by kind (success, start, fail, log, ign), outcome (recorded, duplicate, unknown, limited, refused, spooled, dropped, quarantined, unsigned) and tenant',
      labelNames: ['kind', 'outcome', 'tenant'],
      registers,
    }),
    bodiesDropped: new client.Counter({
      name: 'bodies_dropped_total',
      help: 'Bodies that were not kept, or were removed, because of the quota of their check or project',
      labelNames: ['quota'],
      registers,
    }),
    cacheOperations: new client.Counter({
      name: 'cache_operations_total',
      help: 'Uses of a cache by operation (get, set, evict) and result (hit, miss, ok)',
      labelNames: ['cache', 'operation', 'result'],
      registers,
    }),
    retentionRemoved: new client.Counter({
      name: 'retention_removed_total',
      help: 'Rows that were deleted because they were older than their retention, by table; of heartbeats day partitions',
      labelNames: ['table'],
      registers,
    }),
    gracefulShutdowns: new client.Counter({
      name: 'graceful_shutdowns_total',
      help: 'Orderly shutdowns of all processes on this database, by reason, as counted in the audit log at the start',
      labelNames: ['reason'],
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
      help: 'Status changes by old status, new status, reason and tenant',
      labelNames: ['from', 'to', 'reason', 'tenant'],
      registers,
    }),
    detectorLateness: new client.Histogram({
      name: 'detector_lateness_seconds',
      help: 'Time from a deadline to its detection',
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 2, 5, 30, 300],
      registers,
    }),
    detectorSeconds: new client.Histogram({
      name: 'detector_duration_seconds',
      help: 'Time that one run of the detector took',
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5],
      registers,
    }),
    detectorRun: new client.Gauge({
      name: 'detector_last_run_timestamp_seconds',
      help: 'When the detector last finished a run',
      registers,
    }),
    deliveries: new client.Counter({
      name: 'deliveries_total',
      help: 'Delivery attempts by channel kind, outcome (sent, retrying, dead, suppressed) and tenant',
      labelNames: ['kind', 'outcome', 'tenant'],
      registers,
    }),
    databaseSeconds: new client.Histogram({
      name: 'database_query_duration_seconds',
      help: 'Time that one statement took, including the wait for a connection, by name',
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
      help: 'Calls that a circuit breaker refused, by kind; deliveries wait instead of calling and do not count',
      labelNames: ['name'],
      registers,
    }),
    breakerRequests: new client.Counter({
      name: 'circuit_breaker_requests_total',
      help: 'Calls that went through a circuit breaker, by kind and outcome (success, failure)',
      labelNames: ['name', 'outcome'],
      registers,
    }),

    /** The current value of every series of the named metrics, those of histograms by their own names. */
    async read(names: readonly string[]): Promise<{ name: string; value: number; labels: Record<string, string> }[]> {
      const metrics = await Promise.all(names.map((name) => registry.getSingleMetric(name)?.get()))
      return metrics.flatMap((metric) =>
        (metric?.values ?? []).map(({ value, labels, ...sample }) => ({
          // The series of a histogram end in _bucket, _sum or _count.
          name: ('metricName' in sample ? String(sample.metricName) : metric?.name) ?? '',
          value: Number(value),
          labels: Object.fromEntries(Object.entries(labels).map(([key, text]) => [key, String(text)])),
        })),
      )
    },
  }
}

/**
 * The label of a project in metrics: its id for the first `max` projects that appear, `other` for the rest, so that the
 * number of series is limited. Empty if there is no project.
 */
export function createTenantLabels(max: number): (projectId: string) => string {
  const known = new Set<string>()
  return (projectId) => {
    if (projectId === '' || max === 0 || known.has(projectId)) return max === 0 ? '' : projectId
    if (known.size >= max) return 'other'
    known.add(projectId)
    return projectId
  }
}
