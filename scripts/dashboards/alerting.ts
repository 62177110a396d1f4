import { breakerStates, dashboard, graph, heatmap, nothingYet, scope, stat, timeline } from './dashboard.ts'

const rate = (metric: string, by: string) => `sum by (${by}) (rate(${metric}{${scope}}[$__rate_interval]))`
const quantile = (share: number, metric: string, by = 'le') =>
  `histogram_quantile(${share}, ${rate(`${metric}_bucket`, by)})`

export const alerting = dashboard('alerting', 'Detection and alerting', 'Detecting silence and sending alerts.', [
  {
    title: 'Now',
    height: 4,
    panels: [
      stat(
        'Since the last run of the detector',
        's',
        `time() - max(detector_last_run_timestamp_seconds{${scope}})`,
        [5, 30],
      ),
      stat('Silence detected after (p99, 1 h)', 's', `${lateness('1h')} >= 0 or ${nothingYet}`, [1, 2]),
      stat('Alerts waiting', 'none', `max(queue_length{${scope}, queue="deliveries"})`, [20, 100]),
      stat('Sent (1 h)', 'none', increase('sent', '1h')),
      stat('Given up (24 h)', 'none', increase('dead', '24h'), [1, 10]),
    ],
  },
  {
    title: 'Detection',
    panels: [
      heatmap(
        'From a deadline to its detection',
        's',
        `sum by (le) (increase(detector_lateness_seconds_bucket{${scope}}[$__rate_interval]))`,
      ),
      graph('Detected after', 's', [
        [quantile(0.5, 'detector_lateness_seconds'), 'p50'],
        [quantile(0.99, 'detector_lateness_seconds'), 'p99'],
      ]),
      graph('Time of one detector run', 's', [
        [quantile(0.5, 'detector_duration_seconds'), 'p50'],
        [quantile(0.99, 'detector_duration_seconds'), 'p99'],
      ]),
      graph('Since the last detector run', 's', [
        [`time() - detector_last_run_timestamp_seconds{${scope}}`, '{{instance}}'],
      ]),
    ],
  },
  {
    title: 'Status changes',
    panels: [
      graph('By reason', 'cps', [[rate('flips_total', 'to, reason'), 'to {{to}}: {{reason}}']]),
      graph('Checks', 'none', [[`max by (status) (monitors{${scope}})`, '{{status}}']]),
      graph('Checks down by tenant: changes to down', 'cps', [
        [`topk(5, sum by (tenant) (rate(flips_total{${scope}, to="down"}[$__rate_interval])))`, '{{tenant}}'],
      ]),
    ],
  },
  {
    title: 'Deliveries',
    panels: [
      graph('By outcome', 'cps', [[rate('deliveries_total', 'outcome'), '{{outcome}}']]),
      graph('By kind of channel', 'cps', [[rate('deliveries_total', 'kind, outcome'), '{{kind}} {{outcome}}']]),
      graph('Time of an attempt (p95)', 's', [[quantile(0.95, 'delivery_duration_seconds', 'kind, le'), '{{kind}}']]),
      graph('Waiting', 'none', [[`max(queue_length{${scope}, queue="deliveries"})`, 'deliveries']]),
    ],
  },
  {
    title: 'Circuit breakers',
    panels: [
      timeline(
        'State',
        [`max by (name) (circuit_breaker_state{${scope}})`, '{{name}}'],
        breakerStates,
        'Of each kind the highest number: half-open hides open.',
      ),
      graph('Calls', 'cps', [[rate('circuit_breaker_requests_total', 'name, outcome'), '{{name}} {{outcome}}']]),
      graph('Refused calls', 'cps', [[rate('circuit_breaker_rejections_total', 'name'), '{{name}}']]),
      graph('Changes of state', 'cps', [[rate('circuit_breaker_transitions_total', 'name, to'), '{{name}} to {{to}}']]),
    ],
  },
])

function lateness(window: string): string {
  return `histogram_quantile(0.99, sum by (le) (rate(detector_lateness_seconds_bucket{${scope}}[${window}])))`
}

function increase(outcome: string, window: string): string {
  return `sum(increase(deliveries_total{${scope}, outcome="${outcome}"}[${window}])) or vector(0)`
}
