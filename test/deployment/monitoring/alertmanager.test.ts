// Alertmanager: it accepts its configuration, sends each alert to its receivers, and starts without secrets.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { eventually, scratchDir } from '../../helper.ts'
import { needsTool } from '../../tools.ts'
import { alerts, read, run } from './monitoring.ts'
import { startAlertmanager, startVendors } from './processes.ts'

const path = 'monitoring/alertmanager/alertmanager.yml'
// Addresses in files came with 0.26.
const skip = needsTool('amtool', [0, 26]) || needsTool('prometheus-alertmanager', [0, 26])

type Config = {
  receivers: { name: string }[]
  inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal: string[] }[]
}

test('amtool accepts the configuration, and refuses one with a mistake', { skip }, async (t) => {
  const { status, output } = run('amtool', ['check-config', path])
  assert.equal(status, 0, output)
  const copy = join(await scratchDir(t), 'alertmanager.yml')
  for (const [from, to] of [
    ['repeat_interval: 4h', 'repeat_intervall: 4h'],
    ['receiver: on-call', 'receiver: on-cal'],
    ['api_url_file:', 'api_urlfile:'],
    ["'severity = critical'", "'severity critical'"],
  ] as const) {
    assert.ok(read(path).includes(from), from)
    writeFileSync(copy, read(path).replaceAll(from, to))
    const wrong = run('amtool', ['check-config', copy])
    assert.equal(wrong.status, 1, `${to}\n${wrong.output}`)
  }
})

test('every alert reaches its receivers and no others', { skip }, () => {
  const told = (receiver: string, ...labels: string[]) =>
    run('amtool', ['config', 'routes', 'test', `--config.file=${path}`, `--verify.receivers=${receiver}`, ...labels])
  for (const { alert, labels } of alerts) {
    const receivers: Record<string, string> = { critical: 'on-call', warning: 'chat', info: 'chat' }
    const receiver = alert === 'FlatlineWatchdog' ? 'watchdog' : receivers[String(labels.severity)]
    const { status, output } = told(
      String(receiver),
      `alertname=${alert}`,
      `severity=${labels.severity}`,
      'job=flatline',
    )
    assert.equal(status, 0, `${alert}: ${output}`)
  }
  assert.equal(told('chat', 'alertname=AnythingElse').status, 0, 'the rest goes to the chat')
  assert.equal(told('chat', 'alertname=FlatlineDown', 'severity=critical').status, 1, 'the check can fail')
})

test('critical alerts page and go to the chat; the watchdog sends no resolution', () => {
  const receivers = new Map((parse(read(path)) as Config).receivers.map((receiver) => [receiver.name, receiver]))
  assert.deepEqual(Object.keys(receivers.get('on-call') ?? {}), ['name', 'pagerduty_configs', 'slack_configs'])
  assert.deepEqual(Object.keys(receivers.get('chat') ?? {}), ['name', 'slack_configs'])
  assert.deepEqual(receivers.get('watchdog'), {
    name: 'watchdog',
    webhook_configs: [{ url_file: '/etc/alertmanager/secrets/watchdog-ping-url', send_resolved: false }],
  })
})

test('inhibition rules name existing alerts, never their own, and within one installation', () => {
  const names = alerts.map(({ alert }) => alert)
  for (const { source_matchers: sources, target_matchers: targets, equal } of (parse(read(path)) as Config)
    .inhibit_rules) {
    const source = namesIn(sources)
    const held = namesIn(targets)
    for (const name of [...source, ...held]) assert.ok(names.includes(name), name)
    assert.deepEqual(
      source.filter((name) => held.includes(name)),
      [],
    )
    assert.ok(
      ['namespace', 'job'].every((label) => equal.includes(label)),
      sources.join(),
    )
    const severities = new Map(alerts.map(({ alert, labels }) => [alert, labels.severity]))
    if (held.some((name) => severities.get(name) === 'critical'))
      assert.deepEqual(
        source.map((name) => severities.get(name)),
        ['critical'],
        'a page is held back by a page only',
      )
  }

  /** All that the matchers of one rule let through. */
  function namesIn(matchers: readonly string[]): string[] {
    const tests = matchers.map((text) => /^(\w+) (=~|!~|=) (.+)$/.exec(text) ?? assert.fail(text))
    const ofNames = tests.filter(([, label]) => label === 'alertname')
    const plain = ofNames.filter(([, , op]) => op === '=').map(([, , , value]) => String(value))
    const alternatives = ofNames.filter(([, , op]) => op === '=~').flatMap(([, , , value]) => String(value).split('|'))
    const not = ofNames.filter(([, , op]) => op === '!~').flatMap(([, , , value]) => String(value).split('|'))
    return [...plain, ...alternatives.flatMap((one) => (one === 'Flatline.*' ? names : [one]))].filter(
      (one) => !not.includes(one),
    )
  }
})

test('Alertmanager starts without any secret, logs which is missing, and reads one that comes later', {
  skip,
}, async (t) => {
  const secrets = await scratchDir(t)
  const alertmanager = await startAlertmanager(t, secrets, (config) =>
    config
      .replaceAll(/group_(wait|interval): \S+/g, 'group_$1: 1s')
      .replaceAll(/repeat_interval: \S+/g, 'repeat_interval: 1s'),
  )
  const labels = { alertname: 'FlatlineHighErrorRate', severity: 'critical', job: 'flatline' }
  const posted = await fetch(`${alertmanager.url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ labels, annotations: { summary: 'Too many errors.' } }]),
  })
  assert.equal(posted.status, 200)
  for (const file of ['slack-webhook-url', 'pagerduty-routing-key'])
    await eventually(file, () => alertmanager.output().includes(`${secrets}/${file}: no such file`))
  assert.equal((await fetch(`${alertmanager.url}/-/healthy`)).status, 200)
  assert.doesNotMatch(alertmanager.output(), /level=WARN.*component=configuration/)

  const vendors = await startVendors(t)
  writeFileSync(join(secrets, 'slack-webhook-url'), `${vendors.url}/slack\n`)
  const { body } = await eventually('the message', () => vendors.told[0])
  assert.match(JSON.stringify(body), /Critical: FlatlineHighErrorRate/)
})

test('every secret file that it reads is documented, and git ignores all of them', () => {
  const files = [...read(path).matchAll(/\/etc\/alertmanager\/secrets\/([\w-]+)$/gm)].map(([, file]) => String(file))
  const described = [...read('monitoring/alertmanager/secrets/README.md').matchAll(/^\| `([\w-]+)`/gm)].map(
    ([, file]) => file,
  )
  assert.deepEqual([...new Set(files)].sort(), described.sort())
  for (const file of files) {
    const ignored = run('git', ['check-ignore', '--no-index', `monitoring/alertmanager/secrets/${file}`])
    assert.equal(ignored.status, 0, file)
  }
})
