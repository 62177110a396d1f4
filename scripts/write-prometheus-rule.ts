// Writes k8s/base/prometheusrule.yaml, for the Prometheus operator, from the rules that Prometheus reads elsewhere:
//   node scripts/write-prometheus-rule.ts
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { parse, stringify } from 'yaml'

const root = new URL('../', import.meta.url)
export const target = 'k8s/base/prometheusrule.yaml'

export function renderPrometheusRule(): string {
  const files = globSync('monitoring/prometheus/rules/*.yml', { cwd: root }).sort()
  const resource = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    // By `release` the Prometheus of a default kube-prometheus-stack selects its rules and its monitors.
    metadata: { name: 'flatline', labels: { 'app.kubernetes.io/name': 'flatline', release: 'kube-prometheus-stack' } },
    spec: { groups: files.flatMap((path) => parse(readFileSync(new URL(path, root), 'utf8')).groups) },
  }
  const heading = '# Written by scripts/write-prometheus-rule.ts from monitoring/prometheus/rules; a test compares.\n'
  return heading + stringify(resource, { lineWidth: 0 })
}

if (import.meta.main) writeFileSync(new URL(target, root), renderPrometheusRule())
