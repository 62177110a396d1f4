// The dashboards as Grafana loads them. queries.test.ts checks that their queries use existing metrics; the types of
// scripts/dashboards check that they match Grafana's schema.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Dashboard as Schema } from '@grafana/schema'
import { parse } from 'yaml'
import { graph } from '../../../scripts/dashboards/dashboard.ts'
import { renderDashboards } from '../../../scripts/write-dashboards.ts'
import { sampledMetrics } from '../../../src/health-metrics/service.ts'
import { needsTool } from '../../tools.ts'
import { dashboardFiles, read, root, run } from './monitoring.ts'

type Panel = {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: { uid: string }
  targets?: { refId: string; expr: string; datasource: { uid: string } }[]
}
type Variable = { name: string; type: string; query: unknown; current: { value: string } }
type Dashboard = { uid: string; title: string; panels: Panel[]; templating: { list: Variable[] } }

const dashboards = dashboardFiles.map((path) => ({ path, ...(JSON.parse(read(path)) as Dashboard) }))
const datasources = parse(read('monitoring/grafana/provisioning/datasources/flatline.yml')).datasources

test('the dashboards are what scripts/dashboards generates', () => {
  const rendered = renderDashboards()
  assert.deepEqual(Object.keys(rendered).sort(), dashboardFiles)
  for (const path of dashboardFiles) assert.equal(read(path), rendered[path], 'run: node scripts/write-dashboards.ts')
})

test('the types reject what Grafana would reject: otherwise this file would not compile', () => {
  // @ts-expect-error: pannels
  const misspelt: Schema = { schemaVersion: 39, pannels: [] }
  // @ts-expect-error: a place has no width
  const misplaced: Schema = { schemaVersion: 39, panels: [{ type: 'stat', gridPos: { x: 0, y: 0, width: 4, h: 4 } }] }
  const panel = graph('Requests', 'reqps', [['up']])
  // @ts-expect-error: a unit is a text
  panel.fieldConfig.defaults.unit = 7
  assert.ok(misspelt && misplaced)
})

test('each area has a dashboard, and no two share a name', () => {
  assert.deepEqual(dashboards.map(({ uid }) => uid).sort(), [
    'flatline-alerting',
    'flatline-health-metrics',
    'flatline-ingest',
    'flatline-overview',
    'flatline-project',
    'flatline-replicas',
  ])
  assert.equal(new Set(dashboards.map(({ title }) => title)).size, dashboards.length)
})

test('every panel has its own number, a free place, and a query', () => {
  for (const { path, panels } of dashboards) {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, path)
    const cells = new Set<string>()
    for (const { type, title, gridPos, targets } of panels) {
      const where = `${path}: ${title}`
      assert.ok(gridPos.w >= 1 && gridPos.x + gridPos.w <= 24, where)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!cells.has(`${x} ${y}`), `${where} covers another panel`)
          cells.add(`${x} ${y}`)
        }
      if (type === 'row') continue
      const refIds = targets?.map(({ refId }) => refId) ?? []
      assert.ok(refIds.length > 0 && new Set(refIds).size === refIds.length, where)
      for (const { expr } of targets ?? []) assert.ok(expr.length > 0, where)
    }
    const titles = panels.filter(({ type }) => type !== 'row').map(({ title, type }) => `${title} ${type}`)
    assert.equal(new Set(titles).size, titles.length, `${path}: a title twice`)
  }
})

test('every query uses the selected data source, by default the provisioned one', () => {
  const provisioned = datasources.filter(({ type }: { type: string }) => type === 'prometheus')
  assert.deepEqual(
    provisioned.map(({ uid, isDefault }: { uid: string; isDefault: boolean }) => [uid, isDefault]),
    [['flatline-prometheus', true]],
  )
  for (const { path, templating, ...dashboard } of dashboards) {
    const chosen = templating.list.find(({ type }) => type === 'datasource')
    assert.deepEqual(
      [chosen?.name, chosen?.query, chosen?.current.value],
      ['datasource', 'prometheus', 'flatline-prometheus'],
    )
    const uids = [...JSON.stringify(dashboard).matchAll(/"datasource":\{[^}]*"uid":"([^"]*)"/g)].map(([, uid]) => uid)
    assert.ok(uids.length > dashboard.panels.length, path)
    assert.deepEqual([...new Set(uids)], ['$datasource'], path)
    const names = templating.list.map(({ name }) => name)
    const used = [...JSON.stringify(dashboard).matchAll(/\$(?!__)(\w+)/g)].map(([, name]) => name as string)
    assert.deepEqual(
      [...new Set(used)].filter((name) => !names.includes(name)),
      [],
      `${path}: an unknown variable`,
    )
  }
})

test('every metric that is recorded in the table health_metrics is on its dashboard', () => {
  const text = read('monitoring/grafana/dashboards/health-metrics.json')
  assert.deepEqual(
    sampledMetrics.filter((name) => !text.includes(name)),
    [],
  )
})

test('Grafana reads the dashboards from where they are mounted', () => {
  const { providers } = parse(read('monitoring/grafana/provisioning/dashboards/flatline.yml'))
  assert.deepEqual(
    providers.map(({ type, options }: { type: string; options: { path: string } }) => [type, options.path]),
    [['file', '/var/lib/grafana/dashboards']],
  )
})

test('kustomize makes one ConfigMap of them, with the label for Grafana’s sidecar', {
  skip: needsTool('kubectl'),
}, () => {
  const { status, output } = run('kubectl', ['kustomize', join(root, 'monitoring/grafana')])
  assert.equal(status, 0, output)
  const { kind, metadata, data } = parse(output)
  assert.deepEqual([kind, metadata.name, metadata.labels.grafana_dashboard], ['ConfigMap', 'flatline-dashboards', '1'])
  const expected = dashboardFiles.map((path) => [path.replace('monitoring/grafana/dashboards/', ''), read(path)])
  assert.deepEqual(Object.entries(data).sort(), expected)
  assert.ok(output.length < 262_144, 'kubectl apply keeps a copy in an annotation')
})
