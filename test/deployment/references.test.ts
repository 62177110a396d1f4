import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find, type Manifest, type Node, ofKind, overlay, overlays, rendering } from './kubernetes/kustomize.ts'
import { danglingReferences } from './references.ts'

for (const name of overlays) {
  test(`${name}: every referenced object exists`, rendering, () => {
    assert.deepEqual(danglingReferences(overlay(name)), [])
  })
}

const specOf = (documents: Manifest[], kind: string, name = 'flatline'): Node => find(documents, kind, name).spec
const podOf = (documents: Manifest[]): Node => specOf(documents, 'Deployment').template.spec
const containerOf = (documents: Manifest[]): Node => podOf(documents).containers[0]

type Plant = [problem: RegExp, plant: (documents: Manifest[]) => void]

const plants: Plant[] = [
  [
    /Deployment\/flatline: .* does not select its own pods/,
    (all) => set(specOf(all, 'Deployment').selector.matchLabels, { app: 'x' }),
  ],
  [
    /does not select its own pods/,
    (all) => set(podOf(all).topologySpreadConstraints[0].labelSelector.matchLabels, { app: 'x' }),
  ],
  [/no ServiceAccount robot/, (all) => set(podOf(all), { serviceAccountName: 'robot' })],
  [/a probe asks port web/, (all) => set(containerOf(all).livenessProbe.httpGet, { port: 'web' })],
  [/no ConfigMap flatline-config/, (all) => set(containerOf(all).envFrom[0].configMapRef, { name: 'flatline-config' })],
  [
    /no secret flatline-secrets with TOKEN/,
    (all) => set(variable(all, 'ADMIN_TOKEN').valueFrom.secretKeyRef, { key: 'TOKEN' }),
  ],
  [
    /no secret flatline-db-user with password/,
    (all) => set(variable(all, 'DATABASE_PASSWORD').valueFrom.secretKeyRef, { name: 'flatline-db-user' }),
  ],
  [/DATABASE_URL uses DATABASE_PASSWORD before it is set/, (all) => containerOf(all).env.reverse()],
  [
    /no database at flatline-db-ro:5432/,
    (all) => set(variable(all, 'DATABASE_URL'), { value: 'postgresql://a:b@flatline-db-ro:5432/c' }),
  ],
  [/no volume cache/, (all) => set(containerOf(all).volumeMounts[0], { name: 'cache' })],
  [/nobody mounts tmp/, (all) => containerOf(all).volumeMounts.pop()],
  [/Service\/flatline: selects the pods of 0 workloads/, (all) => set(specOf(all, 'Service').selector, { tier: 'x' })],
  [
    /Service\/flatline: selects the pods of 2 workloads/,
    (all) => delete specOf(all, 'Service').selector['app.kubernetes.io/component'],
  ],
  [/Service\/flatline: no pod has port web/, (all) => set(specOf(all, 'Service').ports[0], { targetPort: 'web' })],
  [/Ingress\/flatline-api: \/api leads to no Service/, (all) => set(backend(all), { name: 'flatlin' })],
  [/Ingress\/flatline-api: \/api leads to no Service/, (all) => set(backend(all), { port: { number: 8000 } })],
  [/has no certificate/, (all) => set(specOf(all, 'Ingress', 'flatline-api').rules[0], { host: 'other.example.com' })],
  [
    /HorizontalPodAutoscaler\/flatline: no Deployment server/,
    (all) => set(specOf(all, 'HorizontalPodAutoscaler').scaleTargetRef, { name: 'server' }),
  ],
  [
    /PodDisruptionBudget\/flatline: covers nothing/,
    (all) => set(specOf(all, 'PodDisruptionBudget').selector.matchLabels, { app: 'x' }),
  ],
  [
    /NetworkPolicy\/flatline-to-database: no pod is/,
    (all) => set(specOf(all, 'NetworkPolicy', 'flatline-to-database').podSelector.matchLabels, { app: 'x' }),
  ],
  [
    /ServiceMonitor\/flatline: selects 0 Services/,
    (all) => set(specOf(all, 'ServiceMonitor').selector.matchLabels, { app: 'x' }),
  ],
  [/the Service has no port metrics/, (all) => set(specOf(all, 'ServiceMonitor').endpoints[0], { port: 'metrics' })],
  [
    /ServiceMonitor\/flatline: no secret flatline-secrets with TOKEN/,
    (all) => set(specOf(all, 'ServiceMonitor').endpoints[0].authorization.credentials, { key: 'TOKEN' }),
  ],
  [
    /the job would not be called flatline/,
    (all) => set(specOf(all, 'ServiceMonitor'), { jobLabel: 'app.kubernetes.io/component' }),
  ],
  [
    /no ObjectStore elsewhere/,
    (all) => set(specOf(all, 'Cluster', 'flatline-db').plugins[0].parameters, { barmanObjectName: 'elsewhere' }),
  ],
  [
    /AlertmanagerConfig\/flatline: no secret flatline-alerting with slack/,
    (all) => set(specOf(all, 'AlertmanagerConfig').receivers[0].slackConfigs[0].apiURL, { key: 'slack' }),
  ],
  [/nobody makes backups/, (all) => set(ofKind(all, 'ScheduledBackup')[0]!.spec.cluster, { name: 'other' })],
]

test('the check finds a dangling reference, wherever it is', rendering, () => {
  for (const [problem, plant] of plants) {
    const documents = structuredClone(overlay('production'))
    plant(documents)
    const found = danglingReferences(documents)
    assert.ok(
      found.some((text) => problem.test(text)),
      `${problem} was not found, but ${JSON.stringify(found)}`,
    )
  }
})

function variable(documents: Manifest[], name: string): Node {
  return containerOf(documents).env.find((one: Node) => one.name === name)
}

function backend(documents: Manifest[]): Node {
  return specOf(documents, 'Ingress', 'flatline-api').rules[0].http.paths[0].backend.service
}

function set(target: Node, values: object): void {
  Object.assign(target, values)
}
