// The two checks of models.ts must find common mistakes. Each planted defect was seen in a real manifest; `kubectl
// kustomize` accepts all of them, and the API server accepts many and does something else than was meant.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkModels, checkTypes, type Findings } from '../models.ts'
import { type Manifest, type Node, overlay, rendering } from './kustomize.ts'

const container = (spec: Node) => spec.template.spec.containers[0]
const spread = (spec: Node) => spec.template.spec.topologySpreadConstraints[0]

type Defect = [kind: string, what: string, plant: (spec: Node) => void]

const defects: Defect[] = [
  ['Deployment', 'a misspelt probe', (spec) => rename(container(spec), 'readinessProbe', 'readinesProbe')],
  ['Deployment', 'a memory limit in no unit', (spec) => set(container(spec).resources.limits, { memory: '1Gib' })],
  ['Deployment', 'the grace period beside the template', (spec) => set(spec, { terminationGracePeriodSeconds: 45 })],
  [
    'Deployment',
    'a preStop that sleeps for no time',
    (spec) => set(container(spec).lifecycle.preStop, { sleep: { second: 5 } }),
  ],
  [
    'Deployment',
    'a misspelt security setting',
    (spec) => rename(container(spec).securityContext, 'allowPrivilegeEscalation', 'allowPriviledgeEscalation'),
  ],
  [
    'Deployment',
    'a seccomp profile of an unknown type',
    (spec) => set(spec.template.spec.securityContext, { seccompProfile: { type: 'Default' } }),
  ],
  ['Deployment', 'one matchLabelKey', (spec) => rename(spread(spec), 'matchLabelKeys', 'matchLabelKey')],
  ['Deployment', 'a spread without what to do otherwise', (spec) => delete spread(spec).whenUnsatisfiable],
  ['Deployment', 'a port in quotes', (spec) => set(container(spec).ports[0], { containerPort: '8000' })],
  ['Deployment', 'a secret without its key', (spec) => delete container(spec).env[0].valueFrom.secretKeyRef.key],
  [
    'HorizontalPodAutoscaler',
    'a British stabilisation window',
    (spec) => rename(spec.behavior.scaleDown, 'stabilizationWindowSeconds', 'stabilisationWindowSeconds'),
  ],
  [
    'HorizontalPodAutoscaler',
    'a policy for no period',
    (spec) => delete spec.behavior.scaleUp.policies[0].periodSeconds,
  ],
  [
    'HorizontalPodAutoscaler',
    'the target of the older API',
    (spec) => set(spec, { targetCPUUtilizationPercentage: 70 }),
  ],
  [
    'PodDisruptionBudget',
    'a misspelt eviction policy',
    (spec) => rename(spec, 'unhealthyPodEvictionPolicy', 'unhealthyPodEvictionPolic'),
  ],
  [
    'PodDisruptionBudget',
    'an eviction policy that does not exist',
    (spec) => set(spec, { unhealthyPodEvictionPolicy: 'Always' }),
  ],
  ['NetworkPolicy', 'a direction that does not exist', (spec) => set(spec, { policyTypes: ['Outgress'] })],
  [
    'NetworkPolicy',
    'a misspelt exception, which opens everything',
    (spec) => rename(spec.egress[0].to[0].ipBlock, 'except', 'exept'),
  ],
  ['ServiceMonitor', 'an interval in words', (spec) => set(spec.endpoints[0], { interval: '15 sec' })],
  [
    'ServiceMonitor',
    'a misspelt port, so that nothing is scraped',
    (spec) => rename(spec.endpoints[0], 'port', 'prot'),
  ],
  ['PrometheusRule', 'a misspelt patience', (spec) => rename(spec.groups[0].rules[0], 'for', 'fro')],
  ['PrometheusRule', 'a patience in words', (spec) => set(spec.groups[0].rules[0], { for: 'one minute' })],
  ['Ingress', 'a path without its type', (spec) => delete spec.rules[0].http.paths[0].pathType],
  [
    'Ingress',
    'a backend of the older API',
    (spec) => set(spec.rules[0].http.paths[0], { backend: { serviceName: 'flatline', servicePort: 80 } }),
  ],
]

test('models or compiler find each of 23 planted defects, and neither finds all of them alone', rendering, async () => {
  const planted = defects.map(([kind, , plant]) => {
    const document = structuredClone(sound(kind))
    plant(document.spec)
    return document
  })
  const byModels = await checkModels(planted)
  const byTypes = checkTypes(planted)
  assert.equal(defects.length, 23)
  assert.deepEqual(missed(byModels, byTypes), [])
  assert.ok(missed(byModels).length >= 5, 'the compiler is not needed any more')
  assert.ok(missed(byTypes).length >= 3, 'the models are not needed any more')
})

test('the manifests without planted defects pass', rendering, async () => {
  const originals = [...new Set(defects.map(([kind]) => kind))].map(sound)
  assert.deepEqual([...(await checkModels(originals)), ...checkTypes(originals)], [])
})

test('the resources of the plugin for backups are checked too', rendering, async () => {
  const store = structuredClone(sound('ObjectStore'))
  store.spec.retentionPolicy = '30 days'
  const misspelt = structuredClone(sound('ObjectStore'))
  rename(misspelt.spec.configuration.wal, 'compression', 'compresion')
  assert.deepEqual([...(await checkModels([store, misspelt])).keys()], [0, 1])
})

function missed(...findings: Findings[]): string[] {
  return defects.flatMap(([kind, what], index) =>
    findings.some((found) => found.has(index)) ? [] : [`${kind}: ${what}`],
  )
}

function sound(kind: string): Manifest {
  if (kind === 'PrometheusRule') return rule
  const candidates = overlay('production').filter((document) => document.kind === kind)
  const document =
    kind === 'NetworkPolicy' ? candidates.find(({ spec }) => spec.egress?.[0].to?.[0].ipBlock) : candidates[0]
  assert.ok(document, `there is no ${kind}`)
  return document
}

const rule: Manifest = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name: 'flatline' },
  spec: {
    groups: [
      {
        name: 'flatline',
        rules: [
          { alert: 'FlatlineDown', expr: 'up{job="flatline"} == 0', for: '1m', labels: { severity: 'critical' } },
        ],
      },
    ],
  },
}

function set(target: Node, values: object): void {
  Object.assign(target, values)
}

function rename(target: Node, from: string, to: string): void {
  assert.ok(from in target, `${from} is not there`)
  target[to] = target[from]
  delete target[from]
}
