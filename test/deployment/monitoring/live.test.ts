// The alert rules and the dashboards against real processes. faults.ts causes every fault in two replicas; promtool
// evaluates the shipped rules, with their own times, over what was scraped from them; and a real Prometheus, which scraped
// them all the time, is asked for what each panel shows.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { keys, scratchDir } from '../../helper.ts'
import { beatS, pause } from '../../patience.ts'
import { needsTool } from '../../tools.ts'
import { causeFaults, type FaultName, startReplicas } from './faults.ts'
import { type Alert, alerts, type Recording, read, recordings, root, run } from './monitoring.ts'
import { type Drawing, draw, type Times } from './panels.ts'
import { startPrometheus } from './processes.ts'
import { metricsOf } from './promql.ts'
import { endOfFault, type Fault, inputSeries, type Override } from './timeline.ts'

const skip = needsTool('promtool') || needsTool('prometheus')

/** In which fault each alert fires. */
const firesIn: Record<string, FaultName> = {
  FlatlineDown: 'no replica',
  FlatlineReplicaDown: 'a replica that does not answer',
  FlatlineReplicasMissing: 'a replica that is gone',
  FlatlineUnhealthy: 'no database',
  FlatlineNotReady: 'no database',
  FlatlineHealthCheckDegraded: 'no database',
  FlatlineElevatedErrorRate: 'no database',
  FlatlineHighErrorRate: 'no database',
  FlatlineMajorityFailing: 'no database',
  FlatlineErrorBudgetBurnFast: 'no database',
  FlatlineErrorBudgetBurn: 'no database',
  FlatlineErrorBudgetBurnSlow: 'no database',
  FlatlineHeartbeatsRefused: 'no database',
  FlatlineDataStale: 'no database',
  FlatlineSpoolGrowing: 'no database',
  FlatlineDetectorStalled: 'no database',
  FlatlineDatabaseConnectionFailures: 'no database',
  FlatlineDatabaseConnectionFailureRate: 'no database',
  FlatlineReplayStalled: 'a replay that fails',
  FlatlineHeartbeatsQuarantined: 'a heartbeat that the database refuses',
  FlatlineHighLatencyP95: 'a locked table, afterwards',
  FlatlineHighLatencyP99: 'a locked table, afterwards',
  FlatlineDatabaseConnectionsWaiting: 'a locked table, during',
  FlatlineDetectorLate: 'failing deliveries',
  FlatlineDeliveriesFailing: 'failing deliveries',
  FlatlineDeliveryDead: 'failing deliveries',
  FlatlineDeliveriesWaiting: 'failing deliveries',
  FlatlineProjectUnreachable: 'failing deliveries',
  FlatlineCircuitBreakerOpen: 'failing deliveries',
  FlatlineCircuitBreakerFlapping: 'failing deliveries',
  FlatlineBlindTime: 'a start after a minute without any, on a full disk',
  FlatlineDiskFull: 'a start after a minute without any, on a full disk',
  FlatlineWatchdog: 'nothing',
}

/** Alerts whose fault costs too much to cause: one metric of a scrape of the well service gets other values. */
const handSet: Record<string, { why: string; override: (value: (metric: string) => number) => Override }> = {
  FlatlineRestarting: {
    why: 'three more starts of the service cost five seconds of processor time',
    override: () => ({ metric: 'process_start_time_seconds', values: '0x24 360x20 660x20 960x40' }),
  },
  FlatlineHighMemory: {
    why: 'the limit is that of the container or machine, and filling it would disturb all other tests',
    override: (value) => ({
      metric: 'process_resident_memory_bytes',
      values: `${0.95 * value('container_memory_limit_bytes')}x104`,
    }),
  },
  FlatlineHeapFull: {
    why: 'a heap that is full by 80 % after every collection for five minutes takes gigabytes',
    override: (value) => ({ metric: 'nodejs_heap_size_used_bytes', values: `${0.9 * value('heap_limit_bytes')}x104` }),
  },
  FlatlineHighCpu: {
    why: 'ten minutes of a whole core',
    override: () => ({ metric: 'process_cpu_seconds_total', values: '0+13.5x104' }),
  },
}

/** These depend on how busy the machine is that runs the test; monitoring/prometheus/tests has cases in which they are silent. */
const ofTheMachine =
  'FlatlineHighLatencyP9[59]|FlatlineHighCpu|FlatlineHighMemory|FlatlineDetectorLate|FlatlineHealthCheckDegraded'

type Stage = { faults: Record<FaultName, Fault>; atRest: Drawing[]; busy: Drawing[] }
let taken: Promise<Stage> | undefined
const once = (t: TestContext) => {
  taken ??= play(t)
  return taken
}

test('every alert has a fault in which it fires, or a reason why its metric is set by hand', () => {
  assert.deepEqual([...Object.keys(firesIn), ...Object.keys(handSet)].sort(), alerts.map(({ alert }) => alert).sort())
  for (const { why } of Object.values(handSet)) assert.ok(why.length > 20)
})

test('every alert fires when real replicas have its fault', { skip }, async (t) => {
  const { faults } = await once(t)
  const well = faults.nothing
  const value = (metric: string) => well.to.a?.values.get(metric) ?? assert.fail(metric)
  const caused = Object.entries(faults).map(([name, fault]) => {
    const expected = Object.keys(firesIn).filter((alert) => firesIn[alert] === name)
    return { alerts: expected, tests: [testGroup(name, fault, expected.map(fires))] }
  })
  const set = Object.entries(handSet).map(([alert, { override }]) => ({
    alerts: [alert],
    tests: [testGroup(alert, well, [fires(alert)], override(value))],
  }))
  const { status, output } = await promtool(t, [...caused, ...set])
  assert.equal(status, 0, output)
})

test('no alert fires while the same replicas are well', { skip }, async (t) => {
  const { nothing } = (await once(t)).faults
  const expr = `ALERTS{alertname!~"FlatlineWatchdog|${ofTheMachine}"}`
  const silent = ['180s', '600s', endOfFault].map((eval_time) => ({ expr, eval_time, exp_samples: [] }))
  const every = alerts.map(({ alert }) => alert)
  const { status, output } = await promtool(t, [{ alerts: every, tests: [testGroup('nothing', nothing, silent)] }])
  assert.equal(status, 0, output)
})

test('the test detects a rule about a metric that the fault does not change', { skip }, async (t) => {
  const fault = (await once(t)).faults['no database']
  const expected = ['FlatlineNotReady', 'FlatlineUnhealthy']
  const started = (rule: Alert) => ({ ...rule, expr: rule.expr.replace('app_ready{', 'app_started{') })
  const tests = [testGroup('no database', fault, expected.map(fires))]
  const { status, output } = await promtool(t, [{ alerts: expected, tests }], started)
  assert.equal(status, 1)
  assert.deepEqual(output.match(/alertname=\\"\w+/g), ['alertname=\\"FlatlineNotReady'])
})

/** Queries that rightly return nothing here. */
const empty: Record<string, string> = {
  'flatline-replicas: Orderly shutdowns': 'no process on this database has stopped in order yet',
}
/** Those that return nothing, or no number, while nobody uses the service. */
const emptyAtRest: Record<string, string> = {
  'flatline-project: Availability (24 h)': 'the project has no check',
  'flatline-project: Checks': 'the project has no check',
  'flatline-project: Tags': 'the project has no check',
}

test('every panel shows numbers while the replicas have work and faults', { skip }, async (t) => {
  const { busy } = await once(t)
  const without = busy.filter(({ numbers }) => numbers === 0).map(({ query }) => query)
  assert.deepEqual(without, Object.keys(empty))
})

test('every number and state on a dashboard is one while nobody uses the service, too', { skip }, async (t) => {
  const { atRest } = await once(t)
  assert.ok(shownAtRest(atRest).length > 20, String(atRest.length))
  assert.deepEqual(emptyOf(atRest), Object.keys(emptyAtRest))
})

const shownAtRest = (drawn: readonly Drawing[]) => drawn.filter(({ type }) => ['stat', 'state-timeline'].includes(type))

/** The queries that returned nothing, or no number. */
const emptyOf = (drawn: readonly Drawing[]): string[] =>
  shownAtRest(drawn)
    .filter(({ numbers, notNumbers }) => numbers === 0 || notNumbers > 0)
    .map(({ query }) => query)

async function play(t: TestContext): Promise<Stage> {
  const replicas = await startReplicas(t)
  const intervalS = beatS
  const prometheus = await startPrometheus(t, () => prometheusConfig(replicas, intervalS))
  const times = (): Times => {
    const toS = Date.now() / 1000
    return { fromS: toS - 300 * beatS, toS, stepS: intervalS, rateIntervalS: 4 * intervalS }
  }
  // Rates need two scrapes, and some series begin a few seconds after the start.
  await pause(3500 * intervalS)
  const drawAtRest = () => draw(prometheus.url, times(), { isInstant: true })
  let atRest = await drawAtRest()
  for (let turn = 0; turn < 30 && emptyOf(atRest).length > Object.keys(emptyAtRest).length; turn++) {
    await pause(1000 * intervalS)
    atRest = await drawAtRest()
  }
  let busy: Drawing[] = []
  const scraped = () => pause(1200 * intervalS)
  const faults = await causeFaults(t, replicas, scraped, async () => {
    // A rate needs two scrapes after the first event.
    for (let turn = 0; turn < 3; turn++) await scraped()
    busy = await draw(prometheus.url, times())
  })
  return { faults, atRest, busy }
}

/** The shipped configuration and rules, at shorter intervals, and with these replicas in place of those of a name. */
function prometheusConfig({ a, b }: { a: { url: string }; b: { url: string } }, intervalS: number): string {
  const shipped = parse(read('monitoring/prometheus/prometheus.yml'))
  const [host, other] = [a, b].map(({ url }) => new URL(url).host)
  const interval = `${intervalS}s`
  return stringify({
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: shipped.rule_files.map((pattern: string) => join(root, 'monitoring/prometheus', pattern)),
    scrape_configs: [
      { job_name: 'flatline', static_configs: [{ targets: [host, other] }] },
      {
        job_name: 'our-checks',
        metrics_path: '/projects/00000000-0000-0000-0000-000000000000/metrics/',
        authorization: { credentials: keys.api_key_readonly },
        static_configs: [{ targets: [host] }],
      },
    ],
  })
}

const asked = new Set([...recordings, ...alerts].flatMap(({ expr }) => metricsOf(expr)))

const fires = (alert: string) => ({
  expr: `count by (alertname) (ALERTS{alertname="${alert}", alertstate="firing"}) > bool 0`,
  eval_time: endOfFault,
  exp_samples: [{ labels: `{alertname="${alert}"}`, value: 1 }],
})

function testGroup(name: string, fault: Fault, promql_expr_test: object[], override?: Override) {
  return { name, interval: '15s', input_series: inputSeries(fault, asked, override), promql_expr_test }
}

/** Each with its alerts and what they are made of alone: evaluating the others takes most of the time. */
async function promtool(
  t: TestContext,
  files: { alerts: string[]; tests: object[] }[],
  change: (alert: Alert) => Alert = (alert) => alert,
) {
  const dir = await scratchDir(t)
  const paths = files.map(({ alerts: names, tests }, i) => {
    const wanted = alerts.filter(({ alert }) => names.includes(alert)).map(change)
    const rules = [...new Set(recordingsFor(wanted.flatMap(({ expr }) => metricsOf(expr)))), ...wanted]
    writeFileSync(join(dir, `${i}.rules.yml`), stringify({ groups: [{ name: 'shipped', rules }] }))
    const path = join(dir, `${i}.test.yml`)
    writeFileSync(path, stringify({ rule_files: [`${i}.rules.yml`], evaluation_interval: '15s', tests }))
    return path
  })
  return run('promtool', ['test', 'rules', ...paths])
}

/** The recording rules of these metrics, each after those that it uses. */
function recordingsFor(metrics: readonly string[]): Recording[] {
  return metrics.flatMap((metric) => {
    const rule = recordings.find(({ record }) => record === metric)
    return rule ? [...recordingsFor(metricsOf(rule.expr)), rule] : []
  })
}
