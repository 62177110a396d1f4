// What the dashboards are made of. A dashboard is rows of panels; where they stand and which number they have follows from their order.

import type { Dashboard, FieldConfig, Panel } from '@grafana/schema'

/** A query and what its lines are called. */
export type Query = readonly [expr: string, legend?: string]

/** A panel without the place that its row gives it. `w` of 24 columns; what is left is shared. */
export type Spec = Pick<Panel, 'type' | 'title' | 'description' | 'targets' | 'options' | 'transformations'> & {
  fieldConfig: { defaults: FieldConfig; overrides: [] }
  w?: number
}

export type Row = { title: string; height?: number; panels: Spec[] }

type Mappings = Record<number, readonly [text: string, color: string]>

/** Every query is about one job, and about the namespaces that are chosen. */
export const scope = 'job="flatline", namespace=~"$namespace"'
/** For dashboards on which replicas can be chosen, too. */
export const replica = `${scope}, instance=~"$instance"`
/** Without probes, scrapes and the operator's calls, as in the rules. */
export const requests = `${scope}, route!~"/health(/live|/ready)?|/live(ness)?|/read(y|iness)|/status|/metrics|/admin/.+|/replicas/.+|/circuit-breaker/?|/api/v1/circuit-breakers/.+"`

/** 0 while replicas are scraped: for numbers that come with the first event. Without replicas the panel says that it has no data. */
export const nothingYet = `0 * sum(up{${scope}})`

export const healthStates: Mappings = {
  0: ['healthy', 'green'],
  1: ['degraded', 'orange'],
  2: ['unhealthy', 'red'],
  3: ['unknown', 'text'],
}
export const breakerStates: Mappings = { 0: ['closed', 'green'], 1: ['open', 'red'], 2: ['half-open', 'orange'] }
export const yesNo: Mappings = { 0: ['no', 'red'], 1: ['yes', 'green'] }

export function graph(
  title: string,
  unit: string,
  queries: Query[],
  more: { description?: string; max?: number } = {},
): Spec {
  const { description, max } = more
  return {
    type: 'timeseries',
    title,
    ...(description !== undefined && { description }),
    targets: targets(queries),
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max !== undefined && { max }),
        custom: { lineWidth: 1, fillOpacity: 10, showPoints: 'never' },
      },
      overrides: [],
    },
  }
}

/** One number, green up to the first of `limits`, orange up to the second, red beyond; the other way round if they fall. */
export function stat(title: string, unit: string, expr: string, limits?: readonly [number, number], w?: number): Spec {
  return {
    type: 'stat',
    title,
    targets: targets([[expr]]),
    options: {
      reduceOptions: { calcs: ['lastNotNull'] },
      colorMode: limits ? 'background' : 'value',
      graphMode: 'none',
    },
    fieldConfig: {
      defaults: { unit, ...(limits && { thresholds: thresholds(limits) }) },
      overrides: [],
    },
    ...(w !== undefined && { w }),
  }
}

export function stateStat(title: string, expr: string, states: Mappings): Spec {
  const spec = stat(title, 'none', expr)
  spec.fieldConfig.defaults.mappings = valueMappings(states)
  return { ...spec, options: { ...spec.options, colorMode: 'background' } }
}

/** One bar a series, coloured by what it was in. */
export function timeline(title: string, query: Query, states: Mappings, description?: string): Spec {
  return {
    type: 'state-timeline',
    title,
    ...(description !== undefined && { description }),
    targets: targets([query]),
    options: {
      showValue: 'never',
      mergeValues: true,
      rowHeight: 0.8,
      legend: { displayMode: 'list', placement: 'bottom' },
    },
    fieldConfig: { defaults: { mappings: valueMappings(states), custom: { fillOpacity: 80 } }, overrides: [] },
  }
}

/** The buckets of a histogram over time. */
export function heatmap(title: string, unit: string, expr: string, description?: string): Spec {
  const [target] = targets([[expr, '{{le}}']])
  return {
    type: 'heatmap',
    title,
    ...(description !== undefined && { description }),
    targets: [{ ...target, format: 'heatmap' }],
    options: { calculate: false, yAxis: { unit }, color: { mode: 'scheme', scheme: 'Oranges' }, cellGap: 1 },
    fieldConfig: { defaults: {}, overrides: [] },
  }
}

/** What is so now, one line for each series with the labels that are named. */
export function table(title: string, expr: string, labels: readonly string[]): Spec {
  const [target] = targets([[expr]])
  const indexByName = Object.fromEntries(labels.map((label, index) => [label, index]))
  return {
    type: 'table',
    title,
    targets: [{ ...target, format: 'table', instant: true, range: false }],
    transformations: [{ id: 'organize', options: { includeByName: includes(labels), indexByName } }],
    options: { showHeader: true },
    fieldConfig: { defaults: {}, overrides: [] },
  }
}

/** What can be chosen, and what is marked on every graph. */
export type Scope = Pick<Dashboard, 'annotations'> & { variables: Variable[] }
type Variable = NonNullable<NonNullable<Dashboard['templating']>['list']>[number]

export function dashboard(
  name: string,
  title: string,
  description: string,
  rows: Row[],
  { variables, annotations }: Scope = ofInstallation,
): Dashboard {
  return {
    uid: `flatline-${name}`,
    title: `Flatline / ${title}`,
    description,
    tags: ['flatline'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    links: [
      {
        type: 'dashboards',
        title: 'Flatline',
        tags: ['flatline'],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        icon: 'external link',
        tooltip: '',
      },
    ],
    templating: { list: [datasource, ...variables] },
    ...(annotations && { annotations }),
    panels: place(rows),
  }
}

// --- parts -----------------------------------------------------------------------------------------------------------

const source = { type: 'prometheus', uid: '$datasource' }

const datasource = {
  type: 'datasource' as const,
  name: 'datasource',
  label: 'Data source',
  query: 'prometheus',
  current: { text: 'Prometheus', value: 'flatline-prometheus' },
}

const chosenAll = { includeAll: true, multi: true, allValue: '.*', current: { text: ['All'], value: ['$__all'] } }

/** The values of a label of the series that are selected. */
const choice = (name: string, label: string, series: string) => ({
  type: 'query' as const,
  name,
  label,
  datasource: source,
  query: { query: `label_values(${series}, ${name})`, refId: name },
  refresh: 2,
  ...chosenAll,
})

/** Roll-outs, restarts and crashes alike. */
const starts = {
  name: 'Starts',
  datasource: source,
  enable: true,
  iconColor: 'blue',
  target: { refId: 'starts', expr: `process_start_time_seconds{${scope}} * 1000` },
  useValueForTime: true,
  titleFormat: 'start of {{instance}}',
}

/** Namespaces are empty where there are none, as in Docker Compose: `.*` matches that, too. */
const namespace = choice('namespace', 'Namespace', 'up{job="flatline"}')
const ofInstallation: Scope = { variables: [namespace], annotations: { list: [starts] } }
/** Replicas can be chosen, too. */
export const ofReplicas: Scope = {
  ...ofInstallation,
  variables: [namespace, choice('instance', 'Replica', 'up{job="flatline", namespace=~"$namespace"}')],
}
/** The checks of a project, which its own Prometheus scrapes under any job. */
export const ofProject: Scope = {
  variables: [choice('job', 'Job', 'hc_checks_total'), choice('tag', 'Tag', 'hc_tag_up{job=~"$job"}')],
}

function targets(queries: readonly Query[]) {
  return queries.map(([expr, legend], index) => ({
    refId: String.fromCharCode(65 + index),
    datasource: source,
    expr,
    range: true,
    ...(legend !== undefined && { legendFormat: legend }),
  }))
}

function thresholds([first, second]: readonly [number, number]) {
  const colors = first < second ? ['green', 'orange', 'red'] : ['red', 'orange', 'green']
  const bounds = [null, ...[first, second].sort((a, b) => a - b)]
  const steps = bounds.map((value, index) => ({ value, color: colors[index] as string }))
  return { mode: 'absolute' as const, steps } as FieldConfig['thresholds']
}

function valueMappings(states: Mappings): FieldConfig['mappings'] {
  const options = Object.fromEntries(
    Object.entries(states).map(([value, [text, color]], index) => [value, { text, color, index }]),
  )
  return [{ type: 'value', options }] as FieldConfig['mappings']
}

function includes(labels: readonly string[]): Record<string, boolean> {
  return Object.fromEntries(labels.map((label) => [label, true]))
}

function place(rows: readonly Row[]): Dashboard['panels'] {
  let id = 0
  let y = 0
  return rows.flatMap(({ title, height = 8, panels }) => {
    const heading = {
      type: 'row' as const,
      id: ++id,
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: 24, h: 1 },
    }
    y++
    const fixed = panels.reduce((sum, { w = 0 }) => sum + w, 0)
    const sharing = panels.filter(({ w }) => w === undefined).length
    let x = 0
    const placed = panels.map(({ w = Math.floor((24 - fixed) / sharing), ...panel }) => {
      const gridPos = { x, y, w, h: height }
      x += w
      return { id: ++id, datasource: source, gridPos, ...panel }
    })
    y += height
    return [heading, ...placed]
  }) as Dashboard['panels']
}
