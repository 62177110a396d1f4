import { dashboard, graph, ofProject, stat, table, timeline } from './dashboard.ts'

/** The job under which a project's own Prometheus scrapes its checks (docs/api.md), and the tags that are chosen. */
const job = 'job=~"$job"'
/** The label holds all tags of a check, separated by spaces. */
const checks = `${job}, tags=~"(.* )?($tag)( .*)?"`
const name = '{{name}}'
const upOrDown = { 0: ['down', 'red'], 1: ['up', 'green'] } as const

export const project = dashboard(
  'project',
  "A project's checks",
  'What a project reads of its own checks, with its read-only key.',
  [
    {
      title: 'Now',
      height: 4,
      panels: [
        stat('Checks', 'none', `count(hc_check_up{${checks}}) or vector(0)`),
        stat('Down', 'none', `sum(1 - hc_check_up{${checks}}) or vector(0)`, [1, 5]),
        stat('Late, in their grace time', 'none', `sum(hc_check_grace{${checks}}) or vector(0)`, [1, 10]),
        stat('Running', 'none', `sum(hc_check_started{${checks}}) or vector(0)`),
        stat('Paused', 'none', `sum(hc_check_paused{${checks}}) or vector(0)`),
        stat('Availability (24 h)', 'percentunit', `avg(avg_over_time(hc_check_up{${checks}}[24h]))`, [0.999, 0.99]),
      ],
    },
    {
      title: 'Down',
      height: 6,
      panels: [
        table('Checks that are down', `hc_check_up{${checks}} == 0`, ['name', 'tags']),
        graph('Down, in grace time, paused', 'none', [
          [`sum(1 - hc_check_up{${checks}})`, 'down'],
          [`sum(hc_check_grace{${checks}})`, 'in grace time'],
          [`sum(hc_check_paused{${checks}})`, 'paused'],
        ]),
      ],
    },
    {
      title: 'Status',
      panels: [
        timeline('Checks', [`hc_check_up{${checks}}`, name], upOrDown),
        timeline('Tags', [`hc_tag_up{${job}, tag=~"$tag"}`, '{{tag}}'], upOrDown, 'Down if any check with the tag is.'),
      ],
    },
    {
      title: 'Time',
      panels: [
        graph('Since the last ping: the ten longest', 's', [
          [`topk(10, hc_check_seconds_since_last_ping{${checks}})`, name],
        ]),
        graph('Until the deadline: the ten nearest', 's', [
          [`bottomk(10, hc_check_seconds_until_deadline{${checks}})`, name],
        ]),
        graph('Length of the last run: the ten longest', 's', [
          [`topk(10, hc_check_last_duration_seconds{${checks}})`, name],
        ]),
      ],
    },
    {
      title: 'Activity',
      panels: [
        graph('Pings: the ten busiest', 'cps', [
          [`topk(10, rate(hc_check_pings_total{${checks}}[$__rate_interval]))`, name],
        ]),
        graph('Changes of status in an hour: the ten most', 'none', [
          [`topk(10, increase(hc_check_flips_total{${checks}}[1h]))`, name],
        ]),
        graph('Checks of the project', 'none', [
          [`sum(hc_checks_total{${job}})`, 'all'],
          [`sum(hc_checks_down_total{${job}})`, 'down'],
        ]),
      ],
    },
  ],
  ofProject,
)
