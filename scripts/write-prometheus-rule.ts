// Writes what the Prometheus operator reads in Kubernetes, from the files that Prometheus and Alertmanager read elsewhere:
//   node scripts/write-prometheus-rule.ts
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { parse, stringify } from 'yaml'

const root = new URL('../', import.meta.url)
export const target = 'k8s/base/prometheusrule.yaml'
export const alertmanagerConfigTarget = 'k8s/components/alertmanager/alertmanagerconfig.yaml'

/** By `release` the Prometheus of a default kube-prometheus-stack selects its rules and its monitors. */
const labels = { 'app.kubernetes.io/name': 'flatline', release: 'kube-prometheus-stack' }

export function renderPrometheusRule(): string {
  const files = globSync('monitoring/prometheus/rules/*.yml', { cwd: root }).sort()
  const resource = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'flatline', labels },
    spec: { groups: files.flatMap((path) => parse(readFileSync(new URL(path, root), 'utf8')).groups) },
  }
  const heading = '# Written by scripts/write-prometheus-rule.ts from monitoring/prometheus/rules; a test compares.\n'
  return heading + stringify(resource, { lineWidth: 0 })
}

type Route = { receiver: string; matchers?: string[]; routes?: Route[]; [setting: string]: unknown }
type InhibitRule = { source_matchers: string[]; target_matchers: string[]; equal: string[] }

/** Alertmanager reads its secrets from files, the operator from a Secret that has the names of the files as its keys. */
export function renderAlertmanagerConfig(): string {
  const source = 'monitoring/alertmanager/alertmanager.yml'
  const { route, receivers, inhibit_rules } = parse(readFileSync(new URL(source, root), 'utf8'))
  const resource = {
    apiVersion: 'monitoring.coreos.com/v1alpha1',
    kind: 'AlertmanagerConfig',
    metadata: { name: 'flatline', labels },
    spec: {
      route: operatorRoute(route),
      receivers: operatorFields(receivers),
      inhibitRules: (inhibit_rules as InhibitRule[]).map(({ source_matchers, target_matchers, equal }) => ({
        sourceMatch: source_matchers.map(operatorMatcher),
        targetMatch: target_matchers.map(operatorMatcher),
        equal,
      })),
    },
  }
  const heading = `# Written by scripts/write-prometheus-rule.ts from ${source}; a test compares.\n`
  return heading + stringify(resource, { lineWidth: 0, aliasDuplicateObjects: false })
}

function operatorRoute({ matchers, routes, ...settings }: Route): object {
  return {
    ...(operatorFields(settings) as object),
    ...(matchers && { matchers: matchers.map(operatorMatcher) }),
    ...(routes && { routes: routes.map(operatorRoute) }),
  }
}

function operatorMatcher(text: string): object {
  const [, name, matchType, value] = /^(\w+) (=~|!~|!=|=) (.+)$/.exec(text) ?? []
  if (!name) throw new Error(`not a matcher: ${text}`)
  return { name, matchType, value }
}

/** The operator's names of the fields that refer to a secret. */
const secretFields: Record<string, string> = {
  api_url_file: 'apiURL',
  routing_key_file: 'routingKey',
  url_file: 'urlSecret',
}

function operatorFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(operatorFields)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value as Record<string, unknown>).map(([name, field]) => {
    if (name in secretFields) return [secretFields[name], secretKey(String(field))]
    if (name === 'links') return ['pagerDutyLinkConfigs', (field as { href: string; text: string }[]).map(operatorLink)]
    if (name === 'details') return [name, Object.entries(field as object).map(([key, value]) => ({ key, value }))]
    return [camelCase(name), operatorFields(field)]
  })
  return Object.fromEntries(entries)
}

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
const operatorLink = ({ href, text }: { href: string; text: string }) => ({ href, alt: text })
const secretKey = (path: string) => ({ name: 'flatline-alerting', key: path.slice(path.lastIndexOf('/') + 1) })

if (import.meta.main) {
  writeFileSync(new URL(target, root), renderPrometheusRule())
  writeFileSync(new URL(alertmanagerConfigTarget, root), renderAlertmanagerConfig())
}
