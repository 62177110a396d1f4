// The overlay for clusters without an ingress controller: production with a load balancer of the cloud in front of the pods.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { isPublicAddress } from '../../../src/outbound/addresses.ts'
import { checkModels, checkTypes } from '../models.ts'
import { danglingReferences } from '../references.ts'
import { find, nameOf, ofKind, overlay, rendering, workloads } from './kustomize.ts'
import { createSecrets, environmentOf } from './manifest-environment.ts'
import { type End, isAllowed } from './network-policies.ts'

const name = 'loadbalancer'
const namespace = 'flatline-production'
const service = () => find(overlay(name), 'Service', 'flatline')

test('it changes the way in and nothing else of production', rendering, async () => {
  const production = new Map(overlay('production').map((document) => [nameOf(document), JSON.stringify(document)]))
  const changed = overlay(name).filter((document) => production.get(nameOf(document)) !== JSON.stringify(document))
  const names = changed.map((document) => nameOf(document).replace(/^(ConfigMap\/flatline-config)-.*/, '$1'))
  const mounts = ['ConfigMap/flatline-config', 'CronJob/flatline-migration', 'Deployment/flatline']
  assert.deepEqual(names.sort(), [...mounts, 'NetworkPolicy/flatline-from-balancer', 'Service/flatline'])
  const missing = [...production.keys()].filter((key) => !overlay(name).some((document) => nameOf(document) === key))
  assert.deepEqual(missing.filter((key) => !key.startsWith('ConfigMap/flatline-config')).sort(), [
    'Ingress/flatline-api',
    'Ingress/flatline-heartbeats',
    'NetworkPolicy/acme-solver-from-ingress',
    'NetworkPolicy/flatline-from-ingress',
  ])
  assert.deepEqual([...(await checkModels(changed)), ...checkTypes(changed)], [])
  assert.deepEqual(danglingReferences(overlay(name)), [])
})

test('the balancer has a private address in each cloud, and admits private networks only', rendering, () => {
  const { metadata, spec } = service()
  assert.deepEqual([spec.type, spec.externalTrafficPolicy], ['LoadBalancer', 'Local'])
  const annotations = metadata.annotations ?? {}
  assert.equal(annotations['service.beta.kubernetes.io/aws-load-balancer-scheme'], 'internal')
  assert.equal(annotations['networking.gke.io/load-balancer-type'], 'Internal')
  assert.equal(annotations['service.beta.kubernetes.io/azure-load-balancer-internal'], 'true')
  assert.ok(spec.loadBalancerSourceRanges.length > 0)
  for (const range of spec.loadBalancerSourceRanges) assert.ok(!isPublicAddress(range.split('/')[0]), range)
})

test('the network policies admit the networks of the balancer, and no others', rendering, () => {
  const policies = ofKind(overlay(name), 'NetworkPolicy')
  const [{ from }] = find(policies, 'NetworkPolicy', 'flatline-from-balancer').spec.ingress
  assert.deepEqual(
    from.map(({ ipBlock }: { ipBlock: { cidr: string } }) => ipBlock.cidr),
    service().spec.loadBalancerSourceRanges,
  )
  const labels = { 'app.kubernetes.io/name': 'flatline', 'app.kubernetes.io/component': 'server' }
  const server = { namespace, labels, ports: { http: 8000 } }
  const reaches = (from: End, port = 8000) => isAllowed(policies, { from, to: server, port })
  assert.ok(reaches({ address: '10.1.2.3' }))
  assert.ok(reaches({ namespace: 'monitoring', labels: { 'app.kubernetes.io/name': 'prometheus' } }))
  assert.ok(!reaches({ address: '10.1.2.3' }, 9229))
  assert.ok(!reaches({ address: '93.184.215.14' }))
  assert.ok(!reaches({ namespace: 'default', labels: { app: 'something' } }))
})

test('the service accepts the environment, and believes no client about its address', rendering, () => {
  const [deployment] = workloads(overlay(name)).filter(({ manifest }) => manifest.kind === 'Deployment')
  assert.ok(deployment)
  const { environment, server } = loadConfig({ env: environmentOf(overlay(name), deployment, createSecrets()) })
  assert.deepEqual([environment, server.trustProxy], ['production', ['loopback']])
})
