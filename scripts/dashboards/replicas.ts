import { dashboard, graph, ofReplicas, replica, table, timeline, yesNo } from './dashboard.ts'

const rate = (metric: string) => `sum by (instance) (rate(${metric}{${replica}}[$__rate_interval]))`
const one = '{{instance}}'

export const replicas = dashboard(
  'replicas',
  'Replicas',
  'The processes side by side: which version, how busy, how close to their limits.',
  [
    {
      title: 'What runs',
      height: 6,
      panels: [
        table('Versions', `build_info{${replica}}`, ['namespace', 'instance', 'version', 'environment', 'node']),
        timeline('Answers scrapes', [`max by (instance) (up{${replica}})`, one], yesNo),
        timeline('Ready', [`max by (instance) (app_ready{${replica}})`, one], yesNo),
        timeline('Stopping', [`max by (instance) (shutdown_phase{${replica}})`, one], {
          0: ['no', 'green'],
          1: ['yes', 'blue'],
        }),
      ],
    },
    {
      title: 'Starts and ends',
      panels: [
        graph('Replicas', 'none', [
          [`sum(up{${replica}})`, 'up'],
          [`max(replicas_expected{${replica}})`, 'expected'],
        ]),
        graph('Running for', 's', [[`time() - process_start_time_seconds{${replica}}`, one]]),
        graph('Starts within 30 minutes', 'none', [[`changes(process_start_time_seconds{${replica}}[30m])`, one]]),
        graph('Orderly shutdowns', 'none', [[`max by (reason) (graceful_shutdowns_total{${replica}})`, '{{reason}}']], {
          description: 'Of all processes on the database, as each knew at its start.',
        }),
      ],
    },
    {
      title: 'Load',
      panels: [
        graph('Requests', 'reqps', [[rate('http_requests_total'), one]]),
        graph('Heartbeats', 'cps', [[rate('heartbeats_received_total'), one]]),
        graph('Open connections', 'none', [[`active_connections{${replica}}`, one]]),
        graph('Heartbeats that wait', 'none', [[`queue_length{${replica}, queue="heartbeats"}`, one]]),
      ],
    },
    {
      title: 'Limits',
      panels: [
        graph(
          'Memory of the limit',
          'percentunit',
          [[`process_resident_memory_bytes{${replica}} / container_memory_limit_bytes{${replica}}`, one]],
          { max: 1 },
        ),
        graph(
          'Processor time of the limit',
          'percentunit',
          [
            [
              `${rate('process_cpu_seconds_total')} / sum by (instance) (clamp_max(cpu_limit_cores{${replica}}, 1))`,
              one,
            ],
          ],
          {
            description: 'Of one core at most: one thread does the work.',
          },
        ),
        graph('Event-loop delay', 's', [
          [`nodejs_eventloop_lag_mean_seconds{${replica}}`, `${one} mean`],
          [`nodejs_eventloop_lag_p99_seconds{${replica}}`, `${one} p99`],
        ]),
        graph(
          'Event-loop utilisation',
          'percentunit',
          [
            [
              `${rate('nodejs_eventloop_utilization_histogram_sum')} / ${rate('nodejs_eventloop_utilization_histogram_count')}`,
              one,
            ],
          ],
          { max: 1 },
        ),
      ],
    },
    {
      title: 'Memory and files',
      panels: [
        graph('Memory by type', 'bytes', [[`sum by (type) (memory_usage_bytes{${replica}})`, '{{type}}']]),
        graph('Garbage collection', 'percentunit', [[rate('nodejs_gc_duration_seconds_sum'), one]], {
          description: 'Share of the time.',
        }),
        graph('Open files', 'none', [[`process_open_fds{${replica}}`, one]]),
      ],
    },
    {
      title: 'Database',
      panels: [
        graph('Connections in use', 'none', [
          [`database_connections_active{${replica}}`, one],
          [`max(database_connections_max{${replica}})`, 'most'],
        ]),
        graph('Callers that wait for one', 'none', [[`database_connections_waiting{${replica}}`, one]]),
        graph('Slowest statements (p99)', 's', [
          [
            `topk(5, histogram_quantile(0.99, sum by (statement, le) (rate(database_query_duration_seconds_bucket{${replica}}[$__rate_interval]))))`,
            '{{statement}}',
          ],
        ]),
        graph(
          'Failures',
          'percentunit',
          [[`${rate('db_connection_failures_total')} / ${rate('db_connection_attempts_total')}`, one]],
          { max: 1 },
        ),
      ],
    },
    {
      title: 'Turned away and removed',
      panels: [
        graph('Connections refused', 'cps', [[rate('connections_refused_total'), one]], {
          description: 'More clients than the process lets in, or than it may open files.',
        }),
        graph('Removed for their age', 'none', [
          [`sum by (table) (increase(retention_removed_total{${replica}}[1h]))`, '{{table}}'],
        ]),
      ],
    },
  ],
  ofReplicas,
)
