import {
  breakerStates,
  dashboard,
  graph,
  healthStates,
  nothingYet,
  requests,
  scope,
  stat,
  stateStat,
  table,
  timeline,
} from './dashboard.ts'

const quantile = (share: number) =>
  `histogram_quantile(${share}, sum by (le) (rate(http_request_duration_seconds_bucket{${requests}}[$__rate_interval])))`

export const overview = dashboard('overview', 'Overview', 'Is Flatline well, and does it do its work?', [
  {
    title: 'Now',
    height: 4,
    panels: [
      stateStat('Health', `max(health_status{${scope}})`, healthStates),
      stat('Replicas up', 'none', `sum(up{${scope}})`, [2, 1]),
      stat('Replicas ready', 'none', `sum(app_ready{${scope}})`, [2, 1]),
      stat('Checks down', 'none', `max(monitors{${scope}, status="down"})`),
      stat('Error budget left (30 days)', 'percentunit', errorBudgetLeft(), [0.25, 0]),
      stat(
        'Since the last run of the detector',
        's',
        `time() - max(detector_last_run_timestamp_seconds{${scope}})`,
        [5, 30],
      ),
      stat('Alerts waiting', 'none', `max(queue_length{${scope}, queue="deliveries"})`, [20, 100]),
      stat(
        'Alerts given up (24 h)',
        'none',
        `sum(increase(deliveries_total{${scope}, outcome="dead"}[24h])) or vector(0)`,
        [1, 10],
      ),
    ],
  },
  {
    title: 'Firing alerts',
    height: 6,
    panels: [
      table('Firing', `ALERTS{alertname=~"Flatline.*", alertname!="FlatlineWatchdog", alertstate="firing"}`, [
        'alertname',
        'severity',
        'namespace',
        'instance',
        'name',
        'check',
      ]),
    ],
  },
  {
    title: 'Requests',
    panels: [
      graph('Requests', 'reqps', [
        [`sum by (route) (rate(http_requests_total{${requests}}[$__rate_interval]))`, '{{route}}'],
      ]),
      graph('Errors', 'reqps', [
        [
          `sum by (status_code) (rate(http_requests_total{${requests}, status_code=~"5.."}[$__rate_interval]))`,
          '{{status_code}}',
        ],
        [
          `sum by (status_code) (rate(http_requests_total{${requests}, status_code="aborted"}[$__rate_interval]))`,
          'given up by the client',
        ],
      ]),
      graph('Time to answer', 's', [
        [quantile(0.5), 'p50'],
        [quantile(0.95), 'p95'],
        [quantile(0.99), 'p99'],
      ]),
    ],
  },
  {
    title: 'The work',
    panels: [
      graph('Heartbeats', 'cps', [
        [`sum by (outcome) (rate(heartbeats_received_total{${scope}}[$__rate_interval]))`, '{{outcome}}'],
      ]),
      graph('Checks', 'none', [[`max by (status) (monitors{${scope}})`, '{{status}}']]),
      graph('Status changes', 'cps', [[`sum by (to) (rate(flips_total{${scope}}[$__rate_interval]))`, 'to {{to}}']]),
      graph('Alerts', 'cps', [
        [`sum by (outcome) (rate(deliveries_total{${scope}}[$__rate_interval]))`, '{{outcome}}'],
      ]),
    ],
  },
  {
    title: 'Error budget: 99.5 % of the requests',
    panels: [
      graph(
        'Burn rate',
        'none',
        ['rate5m', 'rate1h', 'rate6h', 'rate3d'].map((window) => [
          `max(flatline:http_error_ratio:${window}{${scope}}) / 0.005`,
          window.slice(4),
        ]),
        { description: '1 spends the budget in 30 days. 14.4 over an hour and 6 over six hours wake somebody.' },
      ),
      timeline(
        'Circuit breakers',
        [`max by (name) (circuit_breaker_state{${scope}})`, '{{name}}'],
        breakerStates,
        'Of each kind the highest number: half-open hides open.',
      ),
      graph('Database connections', 'none', [
        [`sum(database_connections_active{${scope}})`, 'active'],
        [`sum(database_connections_idle{${scope}})`, 'idle'],
        [`sum(database_connections_waiting{${scope}})`, 'waiting'],
        [`sum(database_connections_max{${scope}})`, 'most'],
      ]),
    ],
  },
])

function errorBudgetLeft(): string {
  const average = (name: string) => `sum(avg_over_time(flatline:http_${name}:rate5m{${scope}}[30d]))`
  // Without requests the ratio is not a number, and nothing of the budget is spent.
  return `1 - (${average('errors')} / ${average('requests')} >= 0 or ${nothingYet}) / 0.005`
}
