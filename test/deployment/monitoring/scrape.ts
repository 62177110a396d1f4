// A scrape of /metrics from the whole service, after it has done some of everything.

import type { TestContext } from 'node:test'
import client from '@prometheus-io/client'
import type { FastifyInstance } from 'fastify'
import { createDomainMetrics } from '../../../src/metrics/domain.ts'
import { build, createReceiver, eventually, keys } from '../../helper.ts'
import { recordings } from './monitoring.ts'
import { type Catalogue, type Family, labelsOf, metricsOf } from './promql.ts'

export type Scrape = {
  text: string
  projectText: string
  catalogue: Catalogue
  routes: { method: string; url: string; always: boolean }[]
}

export async function scrape(t: TestContext): Promise<Scrape> {
  const routes: Scrape['routes'] = []
  const observe = (app: FastifyInstance) => {
    app.addHook('onRoute', ({ method, url, config }) => {
      routes.push({ method: String(method), url: config?.statsId ?? url, always: config?.always === true })
    })
  }
  const { call } = await build(t, {}, observe)
  const receiver = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: receiver.url } })
  const create = async (name: string) => {
    const body = { name, tags: 'nightly', timeout: 60, grace: 60, channels: '*' }
    const { ping_url: url } = (await call('POST', '/api/v3/checks/', body)).json()
    return new URL(String(url)).pathname
  }
  const [down, well] = [await create('down'), await create('well')]
  const pings = [down, `${down}/start`, `${down}/fail`, `${well}/start`, well]
  for (const path of [...pings, '/nowhere', '/health']) await call('GET', path)
  const text = await eventually('a sent alert', async () => {
    const { text } = await call('GET', '/metrics', undefined, {})
    return text.includes('outcome="sent"') && text
  })
  const project = `/projects/00000000-0000-0000-0000-000000000000/metrics/${keys.api_key_readonly}`
  const { text: projectText } = await call('GET', project, undefined, {})
  return { text, projectText, catalogue: catalogueOf(text + projectText), routes }
}

/** The metrics of the text, those that Prometheus adds, and those of our recording rules. */
function catalogueOf(text: string): Catalogue {
  const catalogue: Catalogue = new Map(read(text))
  for (const [name, labels] of declaredLabels())
    for (const label of labels) {
      for (const suffix of ['', '_bucket', '_sum', '_count']) {
        const family = catalogue.get(name + suffix)
        if (family && !family.labels.has(label)) family.labels.set(label, new Set())
      }
    }
  catalogue.set('up', { help: '', labels: new Map() })
  const alertLabels = ['alertname', 'alertstate', 'severity'].map((label): [string, Set<string>] => [label, new Set()])
  catalogue.set('ALERTS', { help: '', labels: new Map(alertLabels) })
  for (const { record, expr } of recordings) {
    const help = metricsOf(expr).map((metric) => catalogue.get(metric)?.help)
    catalogue.set(record, { help: help.join(' '), labels: labelsOf(expr, catalogue) })
  }
  return catalogue
}

function read(text: string): [string, Family][] {
  const families = new Map<string, Family>()
  const helps = new Map([...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => [name, help]))
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name]
    for (const each of names) families.set(each, { help: helps.get(name) ?? '', labels: new Map() })
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm))
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      const known = families.get(name)?.labels
      known?.set(label, (known.get(label) ?? new Set()).add(value))
    }
  return [...families]
}

/** Of metrics that have had no value yet, too. */
function declaredLabels(): [name: string, labels: string[]][] {
  const registry = new client.Registry()
  createDomainMetrics(client, registry)
  const made = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[]
  return made.map(({ name, labelNames }) => [name, labelNames])
}
