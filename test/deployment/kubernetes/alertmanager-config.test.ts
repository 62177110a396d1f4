// The AlertmanagerConfig: it is the configuration that a real Alertmanager is tested with elsewhere, and the operator routes each
// alert of the rendered rules by it. What the operator makes of it is its `amcfg.go`: names with the namespace in front, and a matcher
// for that namespace on the route and on each rule of inhibition.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { alertmanagerConfigTarget, renderAlertmanagerConfig } from '../../../scripts/write-prometheus-rule.ts'
import { eventually, scratchDir } from '../../helper.ts'
import { needsTool } from '../../tools.ts'
import { type Alert, type Recording, read, run } from '../monitoring/monitoring.ts'
import { startAlertmanager, startVendors } from '../monitoring/processes.ts'
import { find, type Labels, type Manifest, type Node, ofKind, overlay, rendering } from './kustomize.ts'

const skip =
  rendering.skip ||
  needsTool('amtool', [0, 26]) ||
  needsTool('prometheus-alertmanager', [0, 26]) ||
  needsTool('promtool')
const secretKeys = ['slack-webhook-url', 'pagerduty-routing-key', 'watchdog-ping-url']

test('the configuration for the operator is that of monitoring/alertmanager', () => {
  assert.equal(read(alertmanagerConfigTarget), renderAlertmanagerConfig(), 'run: node scripts/write-prometheus-rule.ts')
})

for (const name of ['production', 'staging']) {
  test(`${name}: every alert reaches its receivers through the operator's routes`, { skip }, async (t) => {
    const documents = overlay(name)
    const path = join(await scratchDir(t), 'alertmanager.yml')
    const secrets = Object.fromEntries(secretKeys.map((key) => [key, 'https://vendor.test/key']))
    writeFileSync(path, operatorConfig(documents, secrets))
    const { status, output } = run('amtool', ['check-config', path])
    assert.equal(status, 0, output)

    const expected: Labels = { critical: 'on-call', warning: 'chat', info: 'chat' }
    const namespace = `flatline-${name}`
    const routed = routedLabels(documents, namespace)
    assert.ok(routed.length >= 3)
    for (const labels of routed) {
      const receiver = labels.alertname === 'FlatlineWatchdog' ? 'watchdog' : expected[String(labels.severity)]
      // The root route is the chart's, which goes on to the next route and notifies nobody.
      assert.equal(receiversOf(path, labels), `${namespace}/flatline/${receiver}`, JSON.stringify(labels))
    }
    assert.equal(receiversOf(path, { alertname: 'FlatlineDown', severity: 'critical', namespace: 'other' }), 'null')
  })
}

test('a real Alertmanager pings the check of the watchdog, pages, and holds back what follows', { skip }, async (t) => {
  const vendors = await startVendors(t)
  const secrets = {
    'slack-webhook-url': `${vendors.url}/slack`,
    'pagerduty-routing-key': '0123456789abcdef0123456789abcdef',
    'watchdog-ping-url': `${vendors.url}/ping/0e7c8e0d-58a5-4a5b-9e35-2b6b5d7a4f7e`,
  }
  const config = operatorConfig(overlay('production'), secrets)
    .replaceAll(/group_(wait|interval): \S+/g, 'group_$1: 1s')
    .replaceAll(/(routing_key: .*)/g, `$1\n        url: ${vendors.url}/v2/enqueue`)
  const alertmanager = await startAlertmanager(t, '/nowhere', () => config)
  const namespace = 'flatline-production'
  const fired = [
    { alertname: 'FlatlineDown', severity: 'critical', namespace, job: 'flatline' },
    { alertname: 'FlatlineReplicaDown', severity: 'warning', namespace, job: 'flatline' },
    { alertname: 'FlatlineWatchdog', severity: 'info', namespace },
  ].map((labels) => ({ labels, annotations: { summary: labels.alertname } }))
  const posted = await fetch(`${alertmanager.url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fired),
  })
  assert.equal(posted.status, 200)
  const wanted = ['/ping/0e7c8e0d-58a5-4a5b-9e35-2b6b5d7a4f7e', '/slack', '/v2/enqueue']
  await eventually('the notifications', () => wanted.every((path) => vendors.told.some((one) => one.path === path)))
  const slack = vendors.told.filter(({ path }) => path === '/slack').map(({ body }) => JSON.stringify(body))
  assert.match(String(slack[0]), /Critical: FlatlineDown in flatline-production/)
  assert.doesNotMatch(slack.join(), /FlatlineReplicaDown/)
})

test('the receivers take their secrets from one Secret, by reference', rendering, () => {
  const { receivers } = find(overlay('production'), 'AlertmanagerConfig', 'flatline').spec
  const configs = receivers.flatMap(({ name: _, ...kinds }: Node) => Object.values(kinds).flat())
  const references = configs.map(({ apiURL, routingKey, urlSecret }: Node) => apiURL ?? routingKey ?? urlSecret)
  assert.deepEqual(new Set(references.map(({ name }: Node) => name)), new Set(['flatline-alerting']))
  assert.deepEqual([...new Set(references.map(({ key }: Node) => key))].sort(), [...secretKeys].sort())
})

test('the standby of disaster recovery notifies nobody', rendering, () => {
  assert.deepEqual(ofKind(overlay('disaster-recovery'), 'AlertmanagerConfig'), [])
})

/** The labels of the alerts, once for each severity and namespace. Rules over series take the namespace from them; others must bring it. */
function routedLabels(documents: Manifest[], namespace: string): Labels[] {
  const rules: (Alert | Recording)[] = ofKind(documents, 'PrometheusRule').flatMap(({ spec }) =>
    spec.groups.flatMap(({ rules }: Node) => rules),
  )
  const alerts = rules.filter((rule) => 'alert' in rule)
  const labelled = alerts.map(({ alert, expr, labels }): Labels => {
    const hasSeries = /\{job="flatline"|flatline:/.test(expr.replaceAll(/absent\(.*\)/g, ''))
    const own = hasSeries ? namespace : /absent\(up\{job="flatline",namespace="([^"]+)"\}\)/.exec(expr)?.[1]
    return { alertname: alert, ...(own && { namespace: own }), ...labels }
  })
  const kind = ({ alertname, ...rest }: Labels) => JSON.stringify([alertname === 'FlatlineWatchdog', rest])
  return [...new Map(labelled.map((labels) => [kind(labels), labels])).values()]
}

function receiversOf(path: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return run('amtool', ['config', 'routes', 'test', `--config.file=${path}`, ...pairs]).output.split('\n')[0] ?? ''
}

/** What the operator gives to Alertmanager, with the default configuration of kube-prometheus-stack around it. */
function operatorConfig(documents: Manifest[], secrets: Labels): string {
  const { metadata, spec } = find(documents, 'AlertmanagerConfig', 'flatline')
  const prefix = `${metadata.namespace}/${metadata.name}/`
  const own = `namespace="${metadata.namespace}"`
  const matchers = (list: Node[]) => list.map(({ name, matchType, value }) => `${name}${matchType}"${value}"`)
  const route = ({ receiver, matchers: list = [], routes = [], ...settings }: Node, extra: object): object => ({
    ...snakeCase(settings, secrets),
    receiver: prefix + receiver,
    ...extra,
    matchers: [...matchers(list), ...('continue' in extra ? [own] : [])],
    routes: routes.map((child: Node) => route(child, {})),
  })
  return stringify(
    {
      route: { receiver: 'null', routes: [route(spec.route, { continue: true })] },
      receivers: [
        { name: 'null' },
        ...spec.receivers.map(({ name, ...configs }: Node) => ({
          name: prefix + name,
          ...snakeCase(configs, secrets),
        })),
      ],
      inhibit_rules: spec.inhibitRules.map(({ sourceMatch, targetMatch, equal }: Node) => ({
        source_matchers: [...matchers(sourceMatch), own],
        target_matchers: [...matchers(targetMatch), own],
        equal,
      })),
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  )
}

const names: Labels = { apiURL: 'api_url', urlSecret: 'url', pagerDutyLinkConfigs: 'links', alt: 'text' }

function snakeCase(value: Node, secrets: Labels): Node {
  if (Array.isArray(value)) return value.map((one) => snakeCase(one, secrets))
  if (typeof value !== 'object') return value
  if (value.name && value.key) return secrets[value.key]
  const entries = Object.entries(value).map(([name, field]) => [
    names[name] ?? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    name === 'details'
      ? Object.fromEntries((field as Node[]).map(({ key, value }) => [key, value]))
      : snakeCase(field, secrets),
  ])
  return Object.fromEntries(entries)
}
