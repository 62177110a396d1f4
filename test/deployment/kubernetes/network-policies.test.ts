import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPublicAddress } from '../../../src/outbound/addresses.ts'
import { type Manifest, nameOf, ofKind, overlay, rendering } from './kustomize.ts'
import { type Connection, type End, isAllowed, type Pod } from './network-policies.ts'

const component = (name: string) => ({ 'app.kubernetes.io/name': 'flatline', 'app.kubernetes.io/component': name })
const pod = (namespace: string, labels: Record<string, string>, ports?: Record<string, number>): Pod => ({
  namespace,
  labels,
  ...(ports && { ports }),
})
const internet = { address: '93.184.215.14' }

/** Who is who, seen from the namespace of an overlay. */
function cast(namespace: string, database: Record<string, string>, ingress: string) {
  return {
    server: pod(namespace, component('server'), { http: 8000 }),
    migration: pod(namespace, component('migration')),
    database: pod(namespace, database),
    solver: pod(namespace, { 'acme.cert-manager.io/http01-solver': 'true' }),
    neighbour: pod(namespace, { app: 'something' }),
    stranger: pod('default', { app: 'something' }),
    ingress: pod(ingress, { 'app.kubernetes.io/name': 'ingress' }),
    prometheus: pod('monitoring', { 'app.kubernetes.io/name': 'prometheus' }),
    alertmanager: pod('monitoring', { 'app.kubernetes.io/name': 'alertmanager' }),
    grafana: pod('monitoring', { 'app.kubernetes.io/name': 'grafana' }),
    operator: pod('cnpg-system', { 'app.kubernetes.io/name': 'cloudnative-pg' }),
    dns: pod('kube-system', { 'k8s-app': 'kube-dns' }),
    metadata: { address: '169.254.169.254' },
    internet,
    intranet: { address: '10.1.2.3' },
    node: { address: '192.168.1.10' },
    internet6: { address: '2606:2800:21f:cb07::1' },
    intranet6: { address: 'fd00::1' },
  } satisfies Record<string, End>
}

type Cast = ReturnType<typeof cast>
type Line = [from: keyof Cast, to: keyof Cast, port: number, protocol?: 'TCP' | 'UDP']

const allowed: Line[] = [
  ['ingress', 'server', 8000],
  ['prometheus', 'server', 8000],
  ['alertmanager', 'server', 8000], // the ping of the watchdog
  ['server', 'server', 8000],
  ['server', 'database', 5432],
  ['migration', 'database', 5432],
  ['server', 'dns', 53, 'UDP'],
  ['server', 'dns', 53],
  ['database', 'dns', 53, 'UDP'],
  ['migration', 'dns', 53, 'UDP'],
  ['server', 'internet', 443],
  ['server', 'internet6', 443],
  ['ingress', 'solver', 8089],
]

const refused: Line[] = [
  ['stranger', 'server', 8000],
  ['neighbour', 'server', 8000],
  ['grafana', 'server', 8000],
  ['ingress', 'server', 9229],
  ['ingress', 'database', 5432],
  ['stranger', 'database', 5432],
  ['neighbour', 'database', 5432],
  ['prometheus', 'database', 5432],
  ['internet', 'server', 8000],
  ['server', 'metadata', 80],
  ['server', 'metadata', 443],
  ['server', 'intranet', 443],
  ['server', 'intranet6', 443],
  ['server', 'node', 443],
  ['server', 'node', 10250],
  ['server', 'internet', 22],
  ['server', 'internet', 80],
  ['server', 'stranger', 443],
  ['server', 'neighbour', 443],
  ['server', 'migration', 443],
  ['server', 'server', 9229],
  ['migration', 'internet', 443],
  ['migration', 'server', 8000],
  ['server', 'dns', 443],
  ['neighbour', 'internet', 443],
  ['stranger', 'solver', 8089],
  ['stranger', 'neighbour', 80],
]

const settings = {
  staging: {
    cast: cast('flatline-staging', component('database'), 'haproxy-controller'),
    allowed,
    refused: [...refused, ['database', 'internet', 443], ['database', 'server', 8000]] as Line[],
  },
  production: {
    cast: cast('flatline-production', { 'cnpg.io/cluster': 'flatline-db' }, 'haproxy-controller'),
    allowed: [
      ...allowed,
      ['database', 'database', 5432],
      ['database', 'database', 8000],
      ['operator', 'database', 8000],
      ['operator', 'database', 5432],
      ['prometheus', 'database', 9187],
      ['database', 'node', 6443], // the API server
      ['database', 'internet', 443], // the object store
    ] as Line[],
    refused: [
      ...refused,
      ['server', 'database', 8000],
      ['stranger', 'database', 8000],
      ['database', 'internet', 22],
      ['database', 'server', 8000],
    ] as Line[],
  },
}

for (const [name, { cast, allowed, refused }] of Object.entries(settings)) {
  const meant = ([from, to, port, protocol = 'TCP']: Line): Connection => ({
    from: cast[from],
    to: cast[to],
    port,
    protocol,
  })

  test(`${name}: the policies allow exactly the needed connections`, rendering, () => {
    const policies = policiesOf(name)
    assert.deepEqual(
      allowed.filter((line) => !isAllowed(policies, meant(line))),
      [],
    )
    assert.deepEqual(
      refused.filter((line) => isAllowed(policies, meant(line))),
      [],
    )
  })

  test(`${name}: every policy is necessary`, rendering, () => {
    const policies = policiesOf(name)
    const superfluous = policies.filter((one) => {
      const rest = policies.filter((other) => other !== one)
      const opened = refused.some((line) => isAllowed(rest, meant(line)))
      const closed = allowed.some((line) => !isAllowed(rest, meant(line)))
      return !opened && !closed
    })
    assert.deepEqual(superfluous.map(nameOf), [])
  })
}

test('the address ranges that the network blocks for alerts are those that Flatline refuses', rendering, () => {
  const [rule] =
    policiesOf('production').find(({ metadata }) => metadata.name === 'flatline-to-internet')?.spec.egress ?? []
  const excepted = rule.to.flatMap(({ ipBlock }: { ipBlock: { except: string[] } }) => ipBlock.except)
  assert.equal(excepted.length, 7)
  const networks = excepted.map((range: string) => range.split('/')[0])
  assert.deepEqual(
    networks.filter((network: string) => isPublicAddress(network)),
    [],
  )
})

function policiesOf(name: string): Manifest[] {
  return ofKind(overlay(name), 'NetworkPolicy')
}
