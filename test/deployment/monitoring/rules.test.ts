// The alert rules: Prometheus accepts them, each fires when it should and only then, and each has a runbook.

import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { renderPrometheusRule, target } from '../../../scripts/write-prometheus-rule.ts'
import { scratchDir } from '../../helper.ts'
import { needsTool } from '../../tools.ts'
import { type Alert, alerts, isAlert, type RuleFile, read, root, ruleFiles, ruleTestFiles, run } from './monitoring.ts'

const skip = needsTool('promtool')
const prometheus = join(root, 'monitoring/prometheus')

/** The conditions that each requirement wants alerted, the alert for each, and its severity: docs/metrics.md says who chose it. */
const asked: Record<string, [alert: string, severity: 'critical' | 'warning']> = {
  '001-60 no metrics for a minute': ['FlatlineDown', 'critical'],
  '001-61 more than 10 % errors for two minutes': ['FlatlineHighErrorRate', 'critical'],
  '001-61b p95 above a second for five minutes': ['FlatlineHighLatencyP95', 'critical'],
  '001-62 circuit breaker open': ['FlatlineCircuitBreakerOpen', 'warning'],
  '001-63 database connection failures': ['FlatlineDatabaseConnectionFailures', 'warning'],
  '001-64 more than 90 % of the memory': ['FlatlineHighMemory', 'warning'],
  '001-64 more than 80 % of the processor time': ['FlatlineHighCpu', 'warning'],
  '002-13 circuit breakers change often': ['FlatlineCircuitBreakerFlapping', 'warning'],
  '002-45 data too stale for 30 s': ['FlatlineDataStale', 'critical'],
  '002-46 more than 5 % errors for a minute': ['FlatlineElevatedErrorRate', 'warning'],
  '002-47 p99 above 500 ms for two minutes': ['FlatlineHighLatencyP99', 'warning'],
  '002-48 more than 10 % failing connections for 30 s': ['FlatlineDatabaseConnectionFailureRate', 'critical'],
  '003-29 unhealthy for a minute': ['FlatlineUnhealthy', 'critical'],
  '003-30 not ready for 30 s': ['FlatlineNotReady', 'warning'],
  '004-42 more than 50 % errors': ['FlatlineMajorityFailing', 'critical'],
  '004-43 the objective is being missed': ['FlatlineErrorBudgetBurnFast', 'critical'],
}

test('Prometheus accepts its configuration and rules, with every lint', { skip }, () => {
  const config = run('promtool', ['check', 'config', 'monitoring/prometheus/prometheus.yml'])
  assert.equal(config.status, 0, config.output)
  assert.match(config.output, new RegExp(`SUCCESS: ${ruleFiles.length} rule files found`))
  const checked = run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', ...ruleFiles])
  assert.equal(checked.status, 0, checked.output)
})

test('the checks find a misspelt key, broken PromQL, a duplicate rule and an unknown function', {
  skip,
}, async (t) => {
  const defects: [file: string, from: string, to: string][] = [
    ['prometheus.yml', 'scrape_interval:', 'scrape_intervall:'],
    ['prometheus.yml', 'evaluation_interval: 15s', 'evaluation_interval: 15 sec'],
    ['rules/replicas.yml', '        for: 1m', '        fro: 1m'],
    ['rules/replicas.yml', 'absent(up{job="flatline"})', 'absent(up{job="flatline")'],
    ['rules/resources.yml', 'clamp_max(', 'clamp_maximum('],
    ['rules/resources.yml', '{{ $labels.instance }} uses', '{{ $labels.instance uses'],
  ]
  for (const [file, from, to] of defects) {
    const copy = await copyOf(t)
    replaceIn(join(copy, file), from, to)
    const { status, output } = run('promtool', ['check', 'config', join(copy, 'prometheus.yml')])
    assert.equal(status, 1, `${file}: ${to}\n${output}`)
  }
  const copy = await copyOf(t)
  const path = join(copy, 'rules/watchdog.yml')
  writeFileSync(
    path,
    `${readFileSync(path, 'utf8')}      - alert: FlatlineWatchdog\n        expr: vector(1)\n        labels: {severity: info}\n`,
  )
  assert.notEqual(run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', path]).status, 0)
})

test('every alert has a name, a severity, a static summary, a description and a runbook', () => {
  const names = alerts.map(({ alert }) => alert)
  assert.equal(new Set(names).size, names.length, 'no name twice')
  for (const { alert, labels, annotations } of alerts) {
    assert.match(alert, /^Flatline([A-Z][a-z0-9]+|P\d\d)+$/)
    assert.deepEqual(Object.keys(labels), ['severity'], alert)
    assert.ok(['critical', 'warning', 'info'].includes(String(labels.severity)), alert)
    assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'runbook_url'], alert)
    assert.match(String(annotations.summary), /^[^{}]+\.$/, `${alert}: the same sentence each time`)
    if (alert !== 'FlatlineWatchdog')
      assert.match(String(annotations.description), /\{\{ \$labels\.\w+ \}\}.*\.$/s, alert)
    const page = 'https://github.com/flatline/flatline/blob/main/docs/operations.md'
    assert.equal(annotations.runbook_url, `${page}#${alert.toLowerCase()}`)
  }
})

test('every alert of the founding documents exists, with the severity that docs/metrics.md gives', () => {
  const severities = new Map(alerts.map(({ alert, labels }) => [alert, labels.severity]))
  const documented = new Map(
    [...read('docs/metrics.md').matchAll(/^\| `(Flatline\w+)` \| (\w+) \|/gm)].map(([, alert, severity]) => [
      alert,
      severity,
    ]),
  )
  for (const [requirement, [alert, severity]] of Object.entries(asked)) {
    assert.equal(severities.get(alert), severity, requirement)
    assert.equal(documented.get(alert), severity, `docs/metrics.md: ${requirement}`)
  }
})

test('every alert fires in its test case, and does not fire in the others', { skip }, () => {
  const { status, output } = run('promtool', ['test', 'rules', ...ruleTestFiles])
  assert.equal(status, 0, output)
  const cases = ruleTestFiles.flatMap((path) =>
    (parse(read(path)) as { tests: TestGroup[] }).tests.flatMap((group) => group.alert_rule_test ?? []),
  )
  const names = alerts.map(({ alert }) => alert)
  const withCase = (fires: boolean) =>
    new Set(
      cases.filter(({ exp_alerts: expected = [] }) => expected.length > 0 === fires).map(({ alertname }) => alertname),
    )
  assert.deepEqual([...withCase(true)].sort(), [...names].sort(), 'each has a case in which it fires')
  const everSilent = names.filter((name) => name !== 'FlatlineWatchdog')
  assert.deepEqual([...withCase(false)].sort(), everSilent.sort(), 'each has a case in which it is silent')
})

test('the cases detect an alert that never fires, and one that always fires', { skip }, async (t) => {
  const names = alerts.map(({ alert }) => alert)
  const never = await copyOf(t, (alert) => ({ ...alert, expr: 'vector(1) < 0' }))
  const missed = [...failures(casesOf(never)).matchAll(/alertname: (\w+), time: [^,]+,\s+exp:\[\s+0:[\s\S]*?got:\[\]/g)]
  assert.deepEqual([...new Set(missed.map(([, name]) => name))].sort(), [...names].sort())

  const always = await copyOf(t, ({ for: _, ...alert }) => ({ ...alert, expr: 'vector(1)' }))
  const false_ = [...failures(casesOf(always)).matchAll(/alertname: (\w+), time: [^,]+,\s+exp:\[\],\s+got:\[\s+0:/g)]
  const silent = names.filter((name) => name !== 'FlatlineWatchdog')
  assert.deepEqual([...new Set(false_.map(([, name]) => name))].sort(), silent.sort())
})

test('the cases detect a changed threshold, time or label', { skip }, async (t) => {
  const changes: [file: string, from: string, to: string, alert: string][] = [
    ['rules/slo.yml', '> 14.4 * 0.005', '> 10 * 0.005', 'FlatlineErrorBudgetBurnFast'],
    ['rules/slo.yml', '> 6 * 0.005', '> 3 * 0.005', 'FlatlineErrorBudgetBurn'],
    ['rules/slo.yml', 'rate30m > 6 * 0.005', 'rate30m >= 0', 'FlatlineErrorBudgetBurn'],
    ['rules/alerting.yml', '== bool 1)', '== bool 2)', 'FlatlineCircuitBreakerOpen'],
    ['rules/alerting.yml', '.outcome="dead"', '.outcome="suppressed"', 'FlatlineDeliveryDead'],
    ['rules/replicas.yml', '[2m:15s]) >= 4', '[2m:15s]) >= 5', 'FlatlineUnhealthy'],
    ['rules/resources.yml', 'min_over_time(nodejs', 'max_over_time(nodejs', 'FlatlineHeapFull'],
    [
      'rules/replicas.yml',
      'unless on (namespace, job, instance) shutdown_phase{job="flatline"} > 0',
      '',
      'FlatlineNotReady',
    ],
    [
      'rules/resources.yml',
      'clamp_max(cpu_limit_cores{job="flatline"}, 1)',
      'cpu_limit_cores{job="flatline"}',
      'FlatlineHighCpu',
    ],
    [
      'rules/requests.yml',
      ', route!~"/health(/live|/ready)?|/live(ness)?|/read(y|iness)|/status|/metrics|/admin/.+|/replicas/.+|/circuit-breaker/?|/api/v1/circuit-breakers/.+"',
      '',
      'FlatlineElevatedErrorRate',
    ],
  ]
  for (const [file, from, to, alert] of changes) {
    const copy = await copyOf(t)
    const cases = join(copy, 'tests', basename(file, '.yml'))
    replaceIn(join(copy, file), from.replace('.outcome', '{outcome'), to.replace('.outcome', '{outcome'))
    assert.match(failures([`${cases}.test.yml`]), new RegExp(`alertname: ${alert},`), `${alert}: ${from} → ${to}`)
  }
})

test('the rules for the Prometheus operator are identical', () => {
  assert.equal(read(target), renderPrometheusRule(), 'run: node scripts/write-prometheus-rule.ts')
  const resource = parse(read(target))
  assert.deepEqual([resource.apiVersion, resource.kind], ['monitoring.coreos.com/v1', 'PrometheusRule'])
  assert.deepEqual(
    resource.spec.groups,
    ruleFiles.flatMap((path) => (parse(read(path)) as RuleFile).groups),
  )
})

test('every alert has a runbook with meaning, first look, fix and verification', () => {
  const page = read('docs/operations.md')
  const section = /^## Runbooks$([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(page)?.[1] ?? ''
  const runbooks = section.split(/^### /m).slice(1)
  const titles = runbooks.map((text) => text.slice(0, text.indexOf('\n')))
  assert.deepEqual(
    titles.filter((title) => title.startsWith('Flatline')).sort(),
    alerts.map(({ alert }) => alert).sort(),
  )
  for (const text of runbooks.filter((text) => text.startsWith('Flatline'))) {
    const parts = [...text.matchAll(/^\*\*(.+?)\*\* (.+)$/gm)]
    assert.deepEqual(
      parts.map(([, name]) => name),
      ['Meaning.', 'First look.', 'Fix.', 'Verify.'],
      text.slice(0, text.indexOf('\n')),
    )
    for (const [line] of parts) assert.ok(line.length > 40, line)
  }
})

type TestGroup = { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] }

/** A copy of monitoring/prometheus; with `change` it has the changed alerts and no recording rules, which take most of the time. */
async function copyOf(t: TestContext, change?: (alert: Alert) => Alert): Promise<string> {
  const copy = await scratchDir(t)
  cpSync(prometheus, copy, { recursive: true })
  if (change === undefined) return copy
  for (const path of ruleFiles) {
    const { groups } = parse(read(path)) as RuleFile
    const changed = groups.map((group) => ({
      ...group,
      rules: group.rules.filter(isAlert).map(change),
    }))
    writeFileSync(join(copy, 'rules', basename(path)), stringify({ groups: changed }))
  }
  return copy
}

function replaceIn(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8')
  assert.ok(text.includes(from), `${path} has no ${from}`)
  writeFileSync(
    path,
    text.replaceAll(from, () => to),
  )
}

function casesOf(copy: string): string[] {
  return ruleTestFiles.map((path) => join(copy, 'tests', basename(path)))
}

/** What the cases say about changed rules. */
function failures(files: readonly string[]): string {
  const { status, output } = run('promtool', ['test', 'rules', ...files])
  assert.equal(status, 1, output)
  return output
}
