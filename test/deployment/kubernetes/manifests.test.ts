import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse as parseYaml } from 'yaml'
import { checkModels, checkTypes } from '../models.ts'
import {
  find,
  manifests,
  type Node,
  nameOf,
  ofKind,
  overlay,
  overlays,
  parse,
  rendering,
  workloads,
} from './kustomize.ts'
import { isPinned } from './pod-security.ts'

for (const name of overlays) {
  test(`${name}: every document matches the schema of its kind`, rendering, async () => {
    const documents = overlay(name)
    const findings = [...(await checkModels(documents)), ...checkTypes(documents)]
    assert.deepEqual(
      findings.map(([index, problems]) => [nameOf(documents[index]!), problems]),
      [],
    )
    assert.ok(documents.length > 20)
  })

  test(`${name}: everything is in one namespace and labelled as part of Flatline`, rendering, () => {
    const documents = overlay(name)
    const [namespace] = ofKind(documents, 'Namespace')
    assert.equal(documents[0], namespace, 'what the others need is applied first')
    const expected = name === 'staging' ? 'flatline-staging' : 'flatline-production'
    assert.equal(namespace?.metadata.name, expected)
    const strays = documents.filter(
      ({ kind, metadata }) =>
        (kind !== 'Namespace' && metadata.namespace !== expected) ||
        metadata.labels?.['app.kubernetes.io/part-of'] !== 'flatline',
    )
    assert.deepEqual(strays.map(nameOf), [])
  })

  // The chart's values `serviceMonitorSelectorNilUsesHelmValues`, `podMonitor…` and `rule…` are true by default, and its
  // `alertmanagerConfigSelector` selects everything; an installation that selects by label usually takes the same one.
  // https://github.com/prometheus-community/helm-charts/tree/main/charts/kube-prometheus-stack
  test(`${name}: the Prometheus of a default kube-prometheus-stack selects the rules and monitors`, rendering, () => {
    const kinds = ['PrometheusRule', 'ServiceMonitor', 'PodMonitor', 'AlertmanagerConfig']
    const selected = kinds.flatMap((kind) => ofKind(overlay(name), kind))
    assert.ok(selected.some(({ kind }) => kind === 'PrometheusRule'))
    assert.deepEqual(
      selected.filter(({ metadata }) => metadata.labels?.release !== 'kube-prometheus-stack').map(nameOf),
      [],
    )
  })

  test(`${name}: images have exact versions, and that of the service is set by kustomize`, rendering, () => {
    const images = workloads(overlay(name)).flatMap(({ pod }) =>
      pod.containers.map(({ image }: { image: string }) => image),
    )
    const databases = ofKind(overlay(name), 'Cluster').map(({ spec }) => spec.imageName)
    assert.deepEqual(
      [...images, ...databases].filter((image) => !isPinned(image)),
      [],
    )
    const source = name === 'disaster-recovery' ? 'production' : name
    const { images: set } = kustomization(`overlays/${source}`)
    const ours = `${set[0].newName ?? set[0].name}:${set[0].newTag}`
    assert.deepEqual(
      images.filter((image) => image.includes('/flatline')),
      [ours, ours],
    )
  })

  test(`${name}: the manifests contain no secret`, rendering, () => {
    assert.deepEqual(ofKind(overlay(name), 'Secret'), [])
    const literals = workloads(overlay(name)).flatMap(({ pod }) =>
      pod.containers.flatMap(({ env }: { env: { name: string; value?: string }[] }) =>
        env.filter(({ name, value }) => value && /TOKEN|KEY$|PASSWORD/.test(name)),
      ),
    )
    assert.deepEqual(literals, [])
  })
}

test('every file beside a kustomization is listed in it', () => {
  const forgotten = globSync('**/kustomization.yaml', { cwd: manifests }).flatMap((path) => {
    const dir = dirname(path)
    const { resources = [], patches = [], configMapGenerator = [] } = kustomization(dir)
    const files = configMapGenerator.flatMap((generator: { files?: string[] }) => generator.files ?? [])
    const listed = [...resources, ...files, ...patches.map((patch: { path?: string }) => patch.path)]
    return globSync('*.yaml', { cwd: join(manifests, dir) })
      .filter((file) => file !== 'kustomization.yaml' && !listed.includes(file))
      .map((file) => join(dir, file))
  })
  assert.deepEqual(forgotten, [])
})

test('the example of the secrets is valid', async () => {
  const documents = parse(readFileSync(join(manifests, 'secrets.example.yaml'), 'utf8'))
  assert.deepEqual(documents.map(nameOf), [
    'Secret/flatline-secrets',
    'Secret/flatline-postgres',
    'Secret/flatline-backups',
    'Secret/flatline-alerting',
  ])
  assert.deepEqual([...(await checkModels(documents)), ...checkTypes(documents)], [])
})

test('README.md has a command for every secret in the example', () => {
  const readme = readFileSync(join(manifests, 'README.md'), 'utf8')
  const example = parse(readFileSync(join(manifests, 'secrets.example.yaml'), 'utf8')) as Node[]
  const wanted = example.flatMap(({ metadata, stringData }) => [
    `create secret generic ${metadata.name}`,
    ...Object.keys(stringData).map((key) => (key === 'DATABASE_URL' ? key : `--from-literal=${key}=`)),
  ])
  assert.deepEqual(
    wanted.filter((text) => !readme.includes(text)),
    [],
  )
})

test('README.md installs each prerequisite from a release, with the names that the manifests use', rendering, () => {
  const readme = readFileSync(join(manifests, 'README.md'), 'utf8').replaceAll(/\\\n */g, '')
  const commands = readme.match(/^helm .*$/gm) ?? []
  assert.ok(commands.length >= 8)
  for (const command of commands) assert.match(command, /--version v?\d+\.\d+\.\d+ --namespace [a-z-]+( |$)/)
  assert.doesNotMatch(readme, /\/(main|master|latest)\//)
  const installed = commands.map((command) => /--namespace (\S+)/.exec(command)?.[1])
  const admitted = ['production', 'staging']
    .flatMap((name) => ofKind(overlay(name), 'NetworkPolicy'))
    .flatMap((policy) => JSON.stringify(policy).match(/(?<="kubernetes.io\/metadata.name":")[^"]+/g) ?? [])
  assert.deepEqual(
    [...new Set(admitted)].filter((namespace) => !installed.includes(namespace)),
    [],
  )
  const { release } = find(overlay('production'), 'ServiceMonitor', 'flatline').metadata.labels ?? {}
  assert.ok(commands.some((command) => command.startsWith(`helm upgrade --install ${release} kube-prometheus-stack `)))
})

test('the commands of the runbooks name what production has', rendering, () => {
  const [, runbooks = ''] = readFileSync(join(manifests, '../docs/operations.md'), 'utf8').split(/^## Runbooks$/m)
  const documents = overlay('production')
  const names = (pattern: RegExp) => [...new Set([...runbooks.matchAll(pattern)].map(([, name]) => name))]
  assert.deepEqual(names(/\bkubectl -n (\S+)/g), [ofKind(documents, 'Namespace')[0]?.metadata.name])
  const [deployment] = names(/`kubectl [^`]*\bdeploy\/(\S+?)`/g)
  const { spec } = find(documents, 'Deployment', String(deployment))
  const ports = spec.template.spec.containers.flatMap(({ ports }: Node) =>
    ports.map(({ containerPort }: Node) => containerPort),
  )
  assert.deepEqual(names(/`kubectl [^`]*port-forward NAME (\d+)`/g), ports.map(String))
  const services = Object.keys(parseYaml(readFileSync(join(manifests, '../docker-compose.yml'), 'utf8')).services)
  const ofCompose = names(/`docker compose (?:logs|up|restart)(?: --?\w+(?: \d\w+)?)* (\w+)`/g)
  assert.ok(ofCompose.includes('flatline'))
  assert.deepEqual(
    ofCompose.filter((name) => !services.includes(String(name))),
    [],
  )
})

test('a roll-out never has fewer pods than before, and waits for each to stay ready', rendering, () => {
  const { spec } = find(overlay('production'), 'Deployment', 'flatline')
  assert.deepEqual(spec.strategy, { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } })
  assert.deepEqual(
    [spec.minReadySeconds, spec.progressDeadlineSeconds, spec.revisionHistoryLimit, spec.replicas],
    [10, 300, 5, undefined],
  )
})

test('each replica knows the number of replicas that the autoscaler keeps', rendering, () => {
  for (const name of ['production', 'staging']) {
    const { spec } = find(overlay(name), 'HorizontalPodAutoscaler', 'flatline')
    const configurations = overlay(name).filter(({ kind, data }) => kind === 'ConfigMap' && data?.SITE_URL)
    assert.deepEqual(
      configurations.map(({ data }) => data?.FLATLINE__HEALTH__REPLICAS_EXPECTED),
      [String(spec.minReplicas)],
      name,
    )
  }
})

test('the autoscaler has the documented numbers', rendering, () => {
  const { spec } = find(overlay('production'), 'HorizontalPodAutoscaler', 'flatline')
  const targets = spec.metrics.map(({ resource }: { resource: { name: string; target: object } }) => resource)
  assert.deepEqual([spec.minReplicas, spec.maxReplicas], [3, 10])
  assert.deepEqual(targets, [
    { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
    { name: 'memory', target: { type: 'Utilization', averageUtilization: 80 } },
  ])
  assert.deepEqual(spec.behavior, {
    scaleUp: {
      selectPolicy: 'Max',
      policies: [
        { type: 'Percent', value: 50, periodSeconds: 60 },
        { type: 'Pods', value: 2, periodSeconds: 60 },
      ],
    },
    scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] },
  })
})

test('requests, limits and probes have the documented numbers', rendering, () => {
  const [container] = find(overlay('production'), 'Deployment', 'flatline').spec.template.spec.containers
  assert.deepEqual(container.resources, {
    requests: { cpu: '250m', memory: '512Mi' },
    limits: { cpu: '1', memory: '1Gi' },
  })
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: 'http' },
    periodSeconds,
    timeoutSeconds: 3,
    failureThreshold,
  })
  assert.deepEqual(container.startupProbe, probe('/health/live', 2, 15))
  assert.deepEqual(container.livenessProbe, probe('/health/live', 10, 3))
  assert.deepEqual(container.readinessProbe, probe('/health/ready', 5, 3))
})

test(
  'the Service is inside of the cluster and names its port, for port-forward and for the monitors',
  rendering,
  () => {
    const { spec } = find(overlay('production'), 'Service', 'flatline')
    assert.equal(spec.type, 'ClusterIP')
    assert.deepEqual(spec.ports, [{ name: 'http', port: 80, targetPort: 'http', appProtocol: 'http' }])
  },
)

test('pods are spread over zones and nodes per version, and still fit on a single node', rendering, () => {
  const [database] = ofKind(overlay('production'), 'Cluster')
  assert.equal(database?.spec.affinity.topologyKey, 'topology.kubernetes.io/zone')
  const { topologySpreadConstraints, affinity } = find(overlay('production'), 'Deployment', 'flatline').spec.template
    .spec
  const spread = topologySpreadConstraints.map((constraint: Record<string, unknown>) => [
    constraint.topologyKey,
    constraint.maxSkew,
    constraint.whenUnsatisfiable,
    constraint.matchLabelKeys,
  ])
  assert.deepEqual(spread, [
    ['topology.kubernetes.io/zone', 1, 'ScheduleAnyway', ['pod-template-hash']],
    ['kubernetes.io/hostname', 1, 'ScheduleAnyway', ['pod-template-hash']],
  ])
  const { podAntiAffinity } = affinity
  assert.deepEqual(Object.keys(podAntiAffinity), ['preferredDuringSchedulingIgnoredDuringExecution'])
  const [{ podAffinityTerm }] = podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution
  assert.deepEqual(
    [podAffinityTerm.topologyKey, podAffinityTerm.matchLabelKeys],
    ['kubernetes.io/hostname', ['pod-template-hash']],
  )
})

function kustomization(dir: string) {
  return parseYaml(readFileSync(join(manifests, dir, 'kustomization.yaml'), 'utf8'))
}
