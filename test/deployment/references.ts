// Manifests refer to each other by name, and no tool before the cluster checks that the named object exists. Returns
// one line for each name without an object.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Labels,
  type Manifest,
  manifests,
  type Node,
  nameOf,
  ofKind,
  parse,
  type Selector,
  selects,
  type Workload,
  workloads,
} from './kubernetes/kustomize.ts'

export function danglingReferences(documents: Manifest[]): string[] {
  const keys = secretKeys(documents)
  return [
    ...workloads(documents).flatMap((workload) => workloadProblems(documents, keys, workload)),
    ...ofKind(documents, 'Service').flatMap((service) => serviceProblems(documents, service)),
    ...ofKind(documents, 'Ingress').flatMap((ingress) => ingressProblems(documents, ingress)),
    ...ofKind(documents, 'HorizontalPodAutoscaler').flatMap((autoscaler) => autoscalerProblems(documents, autoscaler)),
    ...ofKind(documents, 'PodDisruptionBudget').flatMap((budget) => budgetProblems(documents, budget)),
    ...ofKind(documents, 'NetworkPolicy').flatMap((policy) => policyProblems(documents, policy)),
    ...ofKind(documents, 'ServiceMonitor').flatMap((monitor) => monitorProblems(documents, keys, monitor)),
    ...ofKind(documents, 'ObjectStore').flatMap((store) => storeProblems(keys, store)),
    ...ofKind(documents, 'Cluster').flatMap((cluster) => clusterProblems(documents, cluster)),
    ...ofKind(documents, 'AlertmanagerConfig').flatMap((config) => receiverProblems(keys, config)),
  ]
}

/** `name/key` of every secret that the example names, and of those that operators make. */
function secretKeys(documents: Manifest[]): Set<string> {
  const example = parse(readFileSync(join(manifests, 'secrets.example.yaml'), 'utf8')) as Node[]
  const given = example.flatMap(({ metadata, stringData }) =>
    Object.keys(stringData).map((key) => `${metadata.name}/${key}`),
  )
  const made = clusterNames(documents).flatMap((name) => [
    `${name}-app/password`,
    `${name}-app/uri`,
    `${name}-ca/ca.crt`,
  ])
  return new Set([...given, ...made])
}

const clusterNames = (documents: Manifest[]) => ofKind(documents, 'Cluster').map(({ metadata }) => metadata.name)
const exists = (documents: Manifest[], kind: string, name: string) =>
  documents.some((document) => document.kind === kind && document.metadata.name === name)
const unless = (holds: boolean, problem: string) => (holds ? [] : [problem])

function workloadProblems(documents: Manifest[], keys: Set<string>, { manifest, labels, pod }: Workload): string[] {
  const here = nameOf(manifest)
  const { selector, serviceName } = manifest.spec
  const own: Selector[] = [
    ...(selector ? [selector] : []),
    ...(pod.topologySpreadConstraints ?? []).map((constraint: Node) => constraint.labelSelector),
    ...(pod.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      (term: Node) => term.podAffinityTerm.labelSelector,
    ),
  ]
  return [
    ...own.flatMap((one) =>
      unless(selects(one, labels), `${here}: ${JSON.stringify(one)} does not select its own pods`),
    ),
    ...unless(!serviceName || exists(documents, 'Service', serviceName), `${here}: no Service ${serviceName}`),
    ...unless(
      !pod.serviceAccountName || exists(documents, 'ServiceAccount', pod.serviceAccountName),
      `${here}: no ServiceAccount ${pod.serviceAccountName}`,
    ),
    ...volumeProblems(keys, pod, manifest.spec.volumeClaimTemplates ?? []).map((problem) => `${here}: ${problem}`),
    ...pod.containers.flatMap((container: Node) =>
      containerProblems(documents, keys, container).map((problem) => `${here}: ${problem}`),
    ),
  ]
}

function volumeProblems(keys: Set<string>, { volumes = [], containers }: Node, claims: Node[]): string[] {
  const named = [...volumes.map(({ name }: Node) => name), ...claims.map(({ metadata }) => metadata.name)]
  const mounted = containers.flatMap(({ volumeMounts = [] }: Node) => volumeMounts.map(({ name }: Node) => name))
  return [
    ...mounted.flatMap((name: string) => unless(named.includes(name), `no volume ${name}`)),
    ...named.flatMap((name: string) => unless(mounted.includes(name), `nobody mounts ${name}`)),
    ...volumes.flatMap(({ secret }: Node) =>
      (secret?.items ?? []).flatMap(({ key }: Node) => secretProblems(keys, { name: secret.secretName, key })),
    ),
  ]
}

function containerProblems(documents: Manifest[], keys: Set<string>, container: Node): string[] {
  const { env = [], envFrom = [], ports = [], startupProbe, livenessProbe, readinessProbe } = container
  const probed = [startupProbe, livenessProbe, readinessProbe].flatMap((probe) => probe?.httpGet?.port ?? [])
  return [
    ...probed.flatMap((port) => unless(hasPort(ports, port), `a probe asks port ${port}`)),
    ...envFrom.flatMap(({ configMapRef }: Node) =>
      unless(exists(documents, 'ConfigMap', configMapRef.name), `no ConfigMap ${configMapRef.name}`),
    ),
    ...env.flatMap(({ valueFrom }: Node) => (valueFrom ? secretProblems(keys, valueFrom.secretKeyRef) : [])),
    ...env.flatMap(({ name, value = '' }: Node, index: number) => {
      const earlier = env.slice(0, index).map((other: Node) => other.name)
      const used = [...value.matchAll(/\$\(([^)]+)\)/g)].map(([, variable]) => variable)
      return used.flatMap((variable) => unless(earlier.includes(variable), `${name} uses ${variable} before it is set`))
    }),
    ...env.flatMap(({ name, value = '' }: Node) => {
      if (name !== 'DATABASE_URL' || value === '') return []
      const { hostname, port } = new URL(value.replace(/\$\([^)]+\)/, 'password'))
      return unless(servesDatabase(documents, hostname, Number(port)), `no database at ${hostname}:${port}`)
    }),
  ]
}

function servesDatabase(documents: Manifest[], host: string, port: number): boolean {
  if (clusterNames(documents).includes(host.replace(/-rw$/, ''))) return host.endsWith('-rw') && port === 5432
  return ofKind(documents, 'Service').some(
    ({ metadata, spec }) => metadata.name === host && spec.ports.some((one: Node) => one.port === port),
  )
}

function secretProblems(keys: Set<string>, { name, key, optional }: Node): string[] {
  return unless(optional || keys.has(`${name}/${key}`), `no secret ${name} with ${key}`)
}

const hasPort = (ports: Node[], port: string | number) =>
  ports.some(({ name, containerPort }) => name === port || containerPort === port)

function serviceProblems(documents: Manifest[], service: Manifest): string[] {
  const here = nameOf(service)
  const behind = selected(documents, { matchLabels: service.spec.selector })
  const ports = behind.flatMap(({ pod }) => pod.containers.flatMap((container: Node) => container.ports ?? []))
  return [
    ...unless(behind.length === 1, `${here}: selects the pods of ${behind.length} workloads`),
    ...service.spec.ports.flatMap(({ port, targetPort = port }: Node) =>
      unless(hasPort(ports, targetPort), `${here}: no pod has port ${targetPort}`),
    ),
  ]
}

function ingressProblems(documents: Manifest[], ingress: Manifest): string[] {
  const { rules, tls } = ingress.spec
  const secured = tls.flatMap(({ hosts }: Node) => hosts)
  return rules.flatMap(({ host, http }: Node) => [
    ...unless(secured.includes(host), `${nameOf(ingress)}: ${host} has no certificate`),
    ...http.paths.flatMap(({ path, backend: { service } }: Node) => {
      const target = ofKind(documents, 'Service').find(({ metadata }) => metadata.name === service.name)
      const known = target?.spec.ports.some(
        ({ name, port }: Node) => name === service.port.name || port === service.port.number,
      )
      return unless(known, `${nameOf(ingress)}: ${path} leads to no Service ${service.name} with such a port`)
    }),
  ])
}

function autoscalerProblems(documents: Manifest[], autoscaler: Manifest): string[] {
  const { kind, name } = autoscaler.spec.scaleTargetRef
  return unless(exists(documents, kind, name), `${nameOf(autoscaler)}: no ${kind} ${name}`)
}

function budgetProblems(documents: Manifest[], budget: Manifest): string[] {
  const covered = selected(documents, budget.spec.selector).map(({ manifest }) => nameOf(manifest))
  return unless(
    covered.join() === 'Deployment/flatline',
    `${nameOf(budget)}: covers ${covered.join(', ') || 'nothing'}`,
  )
}

/** Pods that are not ours to make. */
const foreign: Labels[] = [{ 'acme.cert-manager.io/http01-solver': 'true' }]

function policyProblems(documents: Manifest[], policy: Manifest): string[] {
  const pods = [
    ...workloads(documents).map(({ labels }) => labels),
    ...clusterNames(documents).map((name) => ({ 'cnpg.io/cluster': name })),
    ...foreign,
  ]
  const { podSelector, ingress = [], egress = [] } = policy.spec
  const peers = [...ingress, ...egress].flatMap((rule: Node) => rule.from ?? rule.to ?? [])
  const local = peers.filter((peer: Node) => peer.podSelector && !peer.namespaceSelector)
  return [podSelector, ...local.map((peer: Node) => peer.podSelector)].flatMap((selector: Selector) =>
    unless(
      pods.some((labels) => selects(selector, labels)),
      `${nameOf(policy)}: no pod is ${JSON.stringify(selector)}`,
    ),
  )
}

function monitorProblems(documents: Manifest[], keys: Set<string>, monitor: Manifest): string[] {
  const here = nameOf(monitor)
  const { selector, endpoints, jobLabel } = monitor.spec
  const services = ofKind(documents, 'Service').filter(({ metadata }) => selects(selector, metadata.labels ?? {}))
  return [
    ...unless(services.length === 1, `${here}: selects ${services.length} Services`),
    ...services.flatMap(({ metadata }) =>
      unless(metadata.labels?.[jobLabel] === 'flatline', `${here}: the job would not be called flatline`),
    ),
    ...endpoints.flatMap(({ port, authorization }: Node) => [
      ...services.flatMap(({ spec }) =>
        unless(
          spec.ports.some(({ name }: Node) => name === port),
          `${here}: the Service has no port ${port}`,
        ),
      ),
      ...(authorization ? secretProblems(keys, authorization.credentials) : []).map((text) => `${here}: ${text}`),
    ]),
  ]
}

function storeProblems(keys: Set<string>, store: Manifest): string[] {
  const { accessKeyId, secretAccessKey } = store.spec.configuration.s3Credentials
  return [accessKeyId, secretAccessKey].flatMap((key) =>
    secretProblems(keys, key).map((problem) => `${nameOf(store)}: ${problem}`),
  )
}

function clusterProblems(documents: Manifest[], { metadata, spec }: Manifest): string[] {
  const stores = [...spec.plugins, ...(spec.externalClusters ?? []).map(({ plugin }: Node) => plugin)].map(
    ({ parameters }) => parameters.barmanObjectName,
  )
  const backups = ofKind(documents, 'ScheduledBackup').map((backup) => backup.spec.cluster.name)
  return [
    ...stores.flatMap((store) =>
      unless(exists(documents, 'ObjectStore', store), `${metadata.name}: no ObjectStore ${store}`),
    ),
    ...unless(backups.includes(metadata.name), `${metadata.name}: nobody makes backups of it`),
  ]
}

function receiverProblems(keys: Set<string>, config: Manifest): string[] {
  const configs = config.spec.receivers.flatMap(({ name: _, ...kinds }: Node) => Object.values(kinds).flat())
  return configs.flatMap(({ apiURL, routingKey, urlSecret }: Node) =>
    secretProblems(keys, apiURL ?? routingKey ?? urlSecret ?? {}).map((problem) => `${nameOf(config)}: ${problem}`),
  )
}

function selected(documents: Manifest[], selector: Selector): Workload[] {
  return workloads(documents).filter(({ labels }) => selects(selector, labels))
}
