import { breakerStates, dashboard, graph, healthStates, ofReplicas, replica, timeline } from './dashboard.ts'

const rate = (metric: string, by: string) => `sum by (${by}) (rate(${metric}{${replica}}[$__rate_interval]))`
const average = (metric: string) => `${rate(`${metric}_sum`, 'instance')} / ${rate(`${metric}_count`, 'instance')}`

export const healthMetrics = dashboard(
  'health-metrics',
  'Health metrics',
  'What /health finds, the service level, and what is sampled into the table health_metrics, here as Prometheus sees it.',
  [
    {
      title: 'Health',
      panels: [
        timeline('Overall', [`max by (instance) (health_status{${replica}})`, '{{instance}}'], healthStates),
        timeline(
          'Checks',
          [`max by (check) (health_check_status{${replica}})`, '{{check}}'],
          healthStates,
          'Of all replicas the worst.',
        ),
        graph('Time of the checks', 's', [[`max by (check) (health_check_duration_seconds{${replica}})`, '{{check}}']]),
      ],
    },
    {
      title: 'Service level, by each process since its start',
      panels: [
        graph('Availability', 'percentunit', [[`min by (window) (sla_availability_ratio{${replica}})`, '{{window}}']], {
          max: 1,
        }),
        graph('Share of errors', 'percentunit', [[`max by (window) (error_rate_ratio{${replica}})`, '{{window}}']]),
        graph('Time to answer', 's', [
          [`max by (window) (sla_latency_p95_seconds{${replica}})`, 'p95 {{window}}'],
          [`max by (window) (sla_latency_p99_seconds{${replica}})`, 'p99 {{window}}'],
        ]),
      ],
    },
    {
      title: 'Process',
      panels: [
        graph('Memory', 'bytes', [
          [`process_resident_memory_bytes{${replica}}`, '{{instance}} resident'],
          [`nodejs_heap_size_used_bytes{${replica}}`, '{{instance}} heap'],
        ]),
        graph('Processor time', 'percentunit', [[rate('process_cpu_seconds_total', 'instance'), '{{instance}}']]),
        graph('Event-loop delay (p99)', 's', [[`nodejs_eventloop_lag_p99_seconds{${replica}}`, '{{instance}}']]),
        graph('Open connections', 'none', [[`active_connections{${replica}}`, '{{instance}}']]),
      ],
    },
    {
      title: 'Database',
      panels: [
        graph('Connections', 'none', [
          [`sum(database_connections_active{${replica}})`, 'active'],
          [`sum(database_connections_idle{${replica}})`, 'idle'],
          [`sum(database_connections_waiting{${replica}})`, 'waiting'],
        ]),
        graph('Failures', 'cps', [[rate('db_connection_failures_total', 'reason'), '{{reason}}']]),
        timeline('Circuit breakers', [`max by (name) (circuit_breaker_state{${replica}})`, '{{name}}'], breakerStates),
        graph('Age of the oldest heartbeat that waits', 's', [[`data_staleness_seconds{${replica}}`, '{{instance}}']]),
      ],
    },
    {
      title: 'Work',
      panels: [
        graph('Heartbeats', 'cps', [[rate('heartbeats_received_total', 'outcome'), '{{outcome}}']]),
        graph('Time to write a batch (average)', 's', [[average('heartbeat_batch_duration_seconds'), '{{instance}}']]),
        graph('Queues', 'none', [[`max by (queue) (queue_length{${replica}})`, '{{queue}}']]),
        graph('Checks', 'none', [[`max by (status) (monitors{${replica}})`, '{{status}}']]),
      ],
    },
    {
      title: 'Detection and alerts',
      panels: [
        graph('Status changes', 'cps', [[rate('flips_total', 'to'), 'to {{to}}']]),
        graph('Detector: lateness and time of a run (average)', 's', [
          [average('detector_lateness_seconds'), '{{instance}} late by'],
          [average('detector_duration_seconds'), '{{instance}} run'],
        ]),
        graph('Deliveries', 'cps', [[rate('deliveries_total', 'outcome'), '{{outcome}}']]),
        graph('Time of a delivery (average)', 's', [[average('delivery_duration_seconds'), '{{instance}}']]),
      ],
    },
    {
      title: 'Caches',
      panels: [
        graph(
          'Hit ratio',
          'percentunit',
          [
            [
              `sum by (cache) (rate(cache_operations_total{${replica}, operation="get", result="hit"}[$__rate_interval])) / sum by (cache) (rate(cache_operations_total{${replica}, operation="get"}[$__rate_interval]))`,
              '{{cache}}',
            ],
          ],
          { max: 1 },
        ),
        graph('Limited calls', 'cps', [[rate('rate_limited_total', 'scope'), '{{scope}}']]),
      ],
    },
  ],
  ofReplicas,
)
