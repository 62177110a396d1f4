import { dialects } from '../../src/ingest/dialects/all.ts'
import { dashboard, graph, heatmap, nothingYet, scope, stat } from './dashboard.ts'

/** Of the labels of routes, what comes before their first parameter. */
const labels = dialects.flatMap((dialect) =>
  dialect.kind === 'pings' ? dialect.routes.map(({ label }) => label.slice(0, label.indexOf(':'))) : [],
)
const pings = `${scope}, route=~"${[...new Set(labels)].map((label) => `${label}:.*`).join('|')}"`
const rate = (metric: string, by: string, matchers = scope) =>
  `sum by (${by}) (rate(${metric}{${matchers}}[$__rate_interval]))`
const quantile = (share: number, metric: string, matchers = scope) =>
  `histogram_quantile(${share}, ${rate(`${metric}_bucket`, 'le', matchers)})`

export const ingest = dashboard('ingest', 'Ingest', 'Receiving heartbeats and writing them down.', [
  {
    title: 'Now',
    height: 4,
    panels: [
      stat(
        'Heartbeats a second',
        'cps',
        `sum(rate(heartbeats_received_total{${scope}, outcome="recorded"}[5m])) or ${nothingYet}`,
      ),
      stat(
        'Refused (1 h)',
        'none',
        `sum(increase(heartbeats_received_total{${scope}, outcome="refused"}[1h]))`,
        [1, 100],
      ),
      stat('Oldest that waits', 's', `max(data_staleness_seconds{${scope}})`, [5, 60]),
      stat('Blind windows kept', 'none', `max(blind_windows{${scope}})`),
      stat('Blind time kept', 's', `max(blind_time_seconds{${scope}})`),
    ],
  },
  {
    title: 'Heartbeats',
    panels: [
      graph('By kind', 'cps', [[rate('heartbeats_received_total', 'kind'), '{{kind}}']]),
      graph('By outcome', 'cps', [[rate('heartbeats_received_total', 'outcome'), '{{outcome}}']], {
        description: 'unknown: no such check. refused: answered 503, because the queue was full or the database away.',
      }),
      graph('Busiest tenants', 'cps', [[`topk(5, ${rate('heartbeats_received_total', 'tenant')})`, '{{tenant}}']]),
    ],
  },
  {
    title: 'Pings over HTTP',
    panels: [
      graph('Answers', 'reqps', [[rate('http_requests_total', 'status_code', pings), '{{status_code}}']]),
      graph('Time to answer', 's', [
        [quantile(0.5, 'http_request_duration_seconds', pings), 'p50'],
        [quantile(0.95, 'http_request_duration_seconds', pings), 'p95'],
        [quantile(0.99, 'http_request_duration_seconds', pings), 'p99'],
      ]),
      heatmap('Time to answer', 's', rate('http_request_duration_seconds_bucket', 'le', pings)),
    ],
  },
  {
    title: 'Batches',
    panels: [
      graph('Heartbeats in a batch', 'none', [
        [`${rate('heartbeat_batch_size_sum', 'job')} / ${rate('heartbeat_batch_size_count', 'job')}`, 'average'],
        [quantile(0.95, 'heartbeat_batch_size'), 'p95'],
      ]),
      graph('Time to write a batch', 's', [
        [quantile(0.5, 'heartbeat_batch_duration_seconds'), 'p50'],
        [quantile(0.99, 'heartbeat_batch_duration_seconds'), 'p99'],
      ]),
      graph('Batches', 'cps', [[`sum(rate(heartbeat_batch_size_count{${scope}}[$__rate_interval]))`, 'batches']]),
    ],
  },
  {
    title: 'Waiting',
    panels: [
      graph('Heartbeats that wait', 'none', [[`queue_length{${scope}, queue="heartbeats"}`, '{{instance}}']]),
      graph('Age of the oldest', 'ms', [
        [`data_staleness_ms{${scope}}`, '{{instance}}'],
        [`max(max_staleness_ms{${scope}})`, 'limit'],
      ]),
      graph('Heartbeats on disk', 'none', [[`spool_records{${scope}}`, '{{instance}}']], {
        description: 'Received while the database was away, and not in it yet.',
      }),
      graph('Bodies of requests in memory', 'bytes', [[`request_body_bytes{${scope}}`, '{{instance}}']]),
      graph('Bytes on disk', 'bytes', [[`spool_bytes{${scope}}`, '{{instance}}']]),
      graph('Bodies not kept', 'cps', [[rate('bodies_dropped_total', 'quota'), '{{quota}}']]),
      graph('Blind time', 's', [[`max(flatline:blind_time_seconds:max{${scope}})`, 'kept windows']], {
        description:
          'Time in which no replica could accept heartbeats; deadlines move by it. A step up is a new window.',
      }),
    ],
  },
])
