// Rules and dashboards use only existing metrics. Prometheus accepts a metric that does not exist: the alert never
// fires, and the panel is empty.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { scratchDir } from '../../helper.ts'
import { needsTool } from '../../tools.ts'
import { alerts, dashboardFiles, read, recordings, run } from './monitoring.ts'
import { substituted } from './panels.ts'
import { metricsOf, problemsOf } from './promql.ts'
import { type Scrape, scrape } from './scrape.ts'

let taken: Promise<Scrape> | undefined
const once = (t: TestContext) => {
  taken ??= scrape(t)
  return taken
}

test('every metric, label and value in a rule appears in a scrape', async (t) => {
  const { catalogue } = await once(t)
  const problems = [...recordings, ...alerts].flatMap((rule) =>
    problemsOf(rule.expr, catalogue).map((problem) => `${'alert' in rule ? rule.alert : rule.record}: ${problem}`),
  )
  assert.deepEqual(problems, [])
})

test('every metric, label and value on a dashboard appears in a scrape', async (t) => {
  const { catalogue } = await once(t)
  const queries = dashboardFiles.flatMap((path) => queriesOf(read(path)).map((expr) => ({ path, expr })))
  assert.ok(queries.length > 100, `${queries.length} queries`)
  const problems = queries.flatMap(({ path, expr }) =>
    problemsOf(withoutVariables(expr), catalogue).map((problem) => `${path}: ${problem}`),
  )
  assert.deepEqual(problems, [])
})

test('the check finds metrics, labels and values that do not exist', async (t) => {
  const { catalogue } = await once(t)
  const ours = 'job="flatline"'
  const defects: [expr: string, problem: RegExp][] = [
    [`rate(http_request_total{${ours}}[5m])`, /no such metric: http_request_total/],
    [`heartbeat_batch_size{${ours}}`, /no such metric: heartbeat_batch_size/],
    ['rate(process_cpu_seconds_total[5m])', /process_cpu_seconds_total of whatever job/],
    ['up{job="flatlines"}', /up of whatever job/],
    [`health_check_status{${ours}, checks="disk"}`, /health_check_status has no label checks/],
    [`health_check_status{${ours}, check="disc"}`, /health_check_status has no check="disc"/],
    [`deliveries_total{${ours}, outcome=~"retrying|died"}`, /deliveries_total has no outcome="died"/],
    [`sum by (statuscode) (rate(http_requests_total{${ours}}[5m]))`, /nothing in .* has a label statuscode/],
    [`sum(up{${ours}}) without (pods)`, /has a label pods/],
    [`app_ready{${ours}} unless on (node) up{${ours}}`, /has a label node/],
    [`flatline:http_requests:rate2m > 0`, /no such metric: flatline:http_requests:rate2m/],
    [`flatline:http_requests:rate5m{route="/ping/:id"}`, /has no label route/],
    [`sum(rate(up{${ours}}[5m]`, /syntax error/],
    [`{${ours}}`, /no such metric/],
    ['hc_check_up', /hc_check_up of whatever job/],
    ['hc_check_up{job=~".*", tag="a"}', /hc_check_up has no label tag/],
  ]
  for (const [expr, problem] of defects) assert.match(problemsOf(expr, catalogue).join('\n'), problem, expr)
})

test('the routes that the rules exclude are those that the service excludes itself', async (t) => {
  const { routes } = await once(t)
  const patterns = new Set(
    [...recordings.map(({ expr }) => expr), ...dashboardFiles.flatMap((path) => queriesOf(read(path)))].flatMap(
      (expr) => [...expr.matchAll(/route!~"([^"]+)"/g)].map(([, pattern]) => pattern),
    ),
  )
  assert.equal(patterns.size, 1, 'one pattern everywhere')
  const leftOut = new RegExp(`^(?:${[...patterns][0]})$`)
  assert.ok(routes.length > 50)
  for (const { url, always } of routes) assert.equal(leftOut.test(url), always, url)
})

test('every call that the runbooks name is a route, and every event is logged', async (t) => {
  const { routes } = await once(t)
  const plain = (url: string) => url.replaceAll(/:\w+|\{\w+\}|<\w+>|\bNAME\b/g, 'x').replace(/\/$/, '')
  const known = new Set(routes.map(({ method, url }) => `${method} ${plain(url)}`))
  const [, runbooks = ''] = read('docs/operations.md').split(/^## Runbooks$/m)
  const calls = [...runbooks.matchAll(/\b(GET|POST|PATCH|DELETE) …?(\/[a-z][^`?\s]*)/g)].map(
    ([, method, url = '']) => `${method} ${plain(url)}`,
  )
  assert.ok(calls.includes('POST /api/v1/circuit-breakers/x/reset') && calls.length > 5, calls.join())
  assert.deepEqual(
    calls.filter((call) => !known.has(call)),
    [],
  )
  const events = [...runbooks.matchAll(/`([a-z]+\.[a-z_]+)`/g)].map(([, name]) => name)
  const ofAudit = 'channel.disable'
  const logged = read('docs/logging.md')
  assert.deepEqual(
    events.filter((name) => name !== ofAudit && !logged.includes(`| \`${name}\` |`)),
    [],
  )
})

test('promtool accepts a scrape, except for two required names and five of a library', {
  skip: needsTool('promtool'),
}, async (t) => {
  const { text } = await once(t)
  const { output } = run('promtool', ['check', 'metrics'], { input: text })
  const named = output
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[0])
  assert.deepEqual(named, [
    'data_staleness_ms',
    'max_staleness_ms',
    'nodejs_active_handles_total',
    'nodejs_active_requests_total',
    'nodejs_active_resources_total',
    'nodejs_eventloop_utilization_histogram',
    'nodejs_eventloop_utilization_summary',
  ])
  const broken = run('promtool', ['check', 'metrics'], { input: `${text}a_counter{x="1} 2\n` })
  assert.match(broken.output, /error while linting/)
})

test('Prometheus accepts every query of the dashboards', { skip: needsTool('promtool') }, async (t) => {
  const queries = dashboardFiles.flatMap((path) => queriesOf(read(path)))
  const rules = queries.map((expr, index) => ({ record: `query:${index}`, expr: withoutVariables(expr) }))
  const path = join(await scratchDir(t), 'queries.yml')
  writeFileSync(path, stringify({ groups: [{ name: 'all', rules }] }))
  const { status, output } = run('promtool', ['check', 'rules', path])
  assert.equal(status, 0, output)
  assert.match(output, new RegExp(`${queries.length} rules found`))
})

test('every domain metric is on a dashboard or in a rule', async (t) => {
  const { text, projectText } = await once(t)
  const asked = new Set(
    [
      ...[...recordings, ...alerts].map(({ expr }) => expr),
      ...dashboardFiles.flatMap((path) => queriesOf(read(path)).map(withoutVariables)),
    ].flatMap(metricsOf),
  )
  const families = [...`${text}${projectText}`.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({
    name,
    type,
  }))
  const unused = families
    .filter(({ name }) => !/^(nodejs|process)_/.test(name))
    .filter(({ name }) => ![name, `${name}_bucket`, `${name}_sum`, `${name}_count`].some((each) => asked.has(each)))
  assert.deepEqual(
    unused.map(({ name }) => name),
    [],
  )
})

/** Of panels, of variables that ask for series, and of annotations. */
function queriesOf(json: string): string[] {
  const found: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk)
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) {
        const series =
          key === 'query' && typeof inner === 'string' ? /^label_values\((.+), \w+\)$/.exec(inner)?.[1] : undefined
        if (series !== undefined) found.push(series)
        else if (key === 'expr' && typeof inner === 'string') found.push(inner)
        else walk(inner)
      }
  }
  walk(parse(json))
  return found
}

function withoutVariables(expr: string): string {
  const plain = substituted(expr, { rateIntervalS: 300 })
  assert.doesNotMatch(plain, /\$/, 'a variable that is not known')
  return plain
}
