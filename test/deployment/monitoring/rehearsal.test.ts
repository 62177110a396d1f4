// End to end, with the real programs and the shipped configuration: the database of a service stops, and on-call is
// paged and notified of the end; Prometheus stops, and the service alerts. Intervals and addresses are those of this
// test; rules, routes, inhibitions, templates and the reading of secrets are as shipped.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { call, eventually, scratchDir } from '../../helper.ts'
import { beatS, patience } from '../../patience.ts'
import { ownPostgres } from '../../scenarios/outages/own-postgres.ts'
import { startService } from '../../scenarios/service.ts'
import { needsTool } from '../../tools.ts'
import { read, ruleFiles } from './monitoring.ts'
import { startAlertmanager, startPrometheus, startVendors, type Told } from './processes.ts'

const skip = needsTool('prometheus') || needsTool('prometheus-alertmanager', [0, 26])

test('an outage of the database pages once and resolves; the service notices a missing Prometheus', {
  skip,
}, async (t) => {
  const postgres = await ownPostgres(t)
  const service = await startService(t, { env: { DATABASE_URL: postgres.url, INGEST_MODE: 'consistent' } })
  const vendors = await startVendors(t)
  const settings = { url: `${vendors.url}/flatline` }
  await call(service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name: 'by another way', settings })
  const watchdog = { name: 'prometheus watchdog', timeout: 5 * beatS, grace: 5 * beatS, channels: '*' }
  const check = (await call(service.url, 'POST', '/api/v3/checks/', watchdog)).json()

  const secrets = await scratchDir(t)
  writeFileSync(join(secrets, 'slack-webhook-url'), `${vendors.url}/slack\n`)
  writeFileSync(join(secrets, 'pagerduty-routing-key'), `${'k'.repeat(32)}\n`)
  writeFileSync(join(secrets, 'watchdog-ping-url'), `${check.ping_url}\n`)
  const alertmanager = await startAlertmanager(t, secrets, (config) =>
    withShortIntervals(config, `${vendors.url}/pagerduty`),
  )
  const prometheus = await startPrometheus(t, (dir) =>
    prometheusConfig(dir, new URL(service.url).host, new URL(alertmanager.url).host),
  )

  const checkNow = async () => (await call(service.url, 'GET', `/api/v3/checks/${check.uuid}`)).json()
  await eventually('heartbeats of the watchdog', async () => Number((await checkNow()).n_pings) >= 2)
  assert.equal((await checkNow()).status, 'up')
  const { pings } = (await call(service.url, 'GET', `/api/v3/checks/${check.uuid}/pings/`)).json() as {
    pings: { method: string; ua: string; type: string }[]
  }
  assert.match(String(pings[0]?.ua), /^Alertmanager\//)
  assert.deepEqual([pings[0]?.type, pings[0]?.method], ['success', 'POST'])
  assert.equal(paged(vendors.told, 'trigger'), undefined, 'all is well')
  assert.deepEqual(alarms(vendors.told), [])

  await postgres.stop()
  const page = await eventually('the page', () => paged(vendors.told, 'trigger'))
  assert.equal(page.summary, 'FlatlineDatabaseConnectionFailureRate: The database cannot be reached.')
  assert.equal(page.severity, 'critical')
  assert.match(page.text, /docs\/operations\.md#flatlinedatabaseconnectionfailurerate/)
  await eventually('the message', () => written(vendors.told, 'Critical: FlatlineDatabaseConnectionFailureRate'))
  const held = await eventually('what follows from it', async () => {
    const all = (await (await fetch(`${alertmanager.url}/api/v2/alerts`)).json()) as HeldBack[]
    const names = all.filter(({ status }) => status.inhibitedBy.length > 0).map(({ labels }) => labels.alertname)
    return names.includes('FlatlineUnhealthy') && names.includes('FlatlineDatabaseConnectionFailures') && names
  })
  t.diagnostic(`held back: ${[...new Set(held)].sort().join(', ')}`)
  const stated = (await (
    await fetch(`${prometheus.url}/api/v1/query?query=ALERTS{alertname="FlatlineDown"}`)
  ).json()) as {
    data: { result: unknown[] }
  }
  assert.deepEqual(stated.data.result, [], 'the process itself answers all the time')

  await postgres.start()
  const end = await eventually('the end', () => paged(vendors.told, 'resolve', page.key), 60_000)
  assert.equal(end.key, page.key)
  await eventually('the message of the end', () =>
    written(vendors.told, 'Resolved: FlatlineDatabaseConnectionFailureRate'),
  )
  await eventually('the watchdog again', async () => (await checkNow()).status === 'up')

  await prometheus.stop()
  const down = await eventually('the alarm', () => alarms(vendors.told).find(({ event }) => event === 'down'))
  assert.deepEqual([down.check?.name, down.flip?.reason], ['prometheus watchdog', 'timeout'])
})

type HeldBack = { labels: { alertname: string }; status: { inhibitedBy: string[] } }
type Page = { key: string; summary: string; severity: string; text: string }
type Alarm = { event?: string; check?: { name?: string }; flip?: { reason?: string } }

function paged(told: readonly Told[], action: string, key?: string): Page | undefined {
  const pages = told.filter(({ path, body }) => path === '/pagerduty' && body.event_action === action)
  const all = pages.map(({ body }) => {
    const { summary = '', severity = '' } = (body.payload ?? {}) as Record<string, string>
    return { key: String(body.dedup_key), summary, severity, text: JSON.stringify(body) }
  })
  const isIt = (page: Page) => (key === undefined ? page.text.includes('FailureRate') : page.key === key)
  return all.find(isIt)
}

function written(told: readonly Told[], title: string): boolean {
  return told.some(({ path, body }) => path === '/slack' && JSON.stringify(body).includes(title))
}

function alarms(told: readonly Told[]): Alarm[] {
  return told.filter(({ path }) => path === '/flatline').map(({ body }) => body as Alarm)
}

function withShortIntervals(config: string, pagerdutyUrl: string): string {
  const short = config.replaceAll(/(group_wait|group_interval|repeat_interval): \S+/g, '$1: 1s')
  return `global:\n  pagerduty_url: ${pagerdutyUrl}\n${short}`
}

/** Scrapes the service twice a second, on a quiet machine. Windows and delays of alerts are seconds. */
function prometheusConfig(dir: string, target: string, alertmanager: string): string {
  const config = parse(read('monitoring/prometheus/prometheus.yml'))
  const scrape = `${patience(500)}ms`
  mkdirSync(join(dir, 'rules'))
  for (const path of ruleFiles) {
    const short = read(path)
      .replaceAll(/\[[1-5]m\]/g, `[${10 * beatS}s]`)
      .replaceAll(/for: \S+/g, `for: ${2 * beatS}s`)
    writeFileSync(join(dir, 'rules', basename(path)), short)
  }
  const scraped = config.scrape_configs.find(({ job_name: name }: { job_name: string }) => name === 'flatline')
  return stringify({
    ...config,
    global: { scrape_interval: scrape, scrape_timeout: scrape, evaluation_interval: scrape },
    alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    scrape_configs: [{ job_name: scraped.job_name, static_configs: [{ targets: [target] }] }],
  })
}
