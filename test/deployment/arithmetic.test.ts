// Numbers of different documents that must fit each other.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { find, type Node, ofKind, overlay, rendering } from './kubernetes/kustomize.ts'

test('benchmarks run with the memory settings of npm start', async () => {
  const bounds = await Promise.all(
    ['package.json', 'bench/service.ts'].map(async (file) => {
      const found = [...(await readFile(file, 'utf8')).matchAll(/--max-semi-space-size=(\d+)/g)].map(([, size]) => size)
      assert.ok(found.length > 0, file)
      return found
    }),
  )
  assert.equal(new Set(bounds.flat()).size, 1, bounds.join())
})

for (const name of ['staging', 'production']) {
  const spec = (kind: string, of = 'flatline'): Node => find(overlay(name), kind, of).spec
  const pod = (): Node => spec('Deployment').template.spec
  const container = (): Node => pod().containers[0]
  const setting = (key: string): number => Number(config()[key])
  const config = () => {
    const reference = container().envFrom[0].configMapRef.name
    return find(overlay(name), 'ConfigMap', reference).data ?? {}
  }

  test(`${name}: the grace period covers the delay before the signal, the shutdown, and a margin`, rendering, () => {
    const preStopS = container().lifecycle.preStop.sleep.seconds
    const shutdownS = setting('SHUTDOWN_TIMEOUT_MS') / 1000
    const marginS = 10
    assert.equal(preStopS, 5)
    assert.ok(preStopS + shutdownS + marginS <= pod().terminationGracePeriodSeconds)
    assert.ok(setting('DRAIN_MS') < setting('SHUTDOWN_TIMEOUT_MS'), 'the end includes the drain')
  })

  test(`${name}: load balancers see the readiness of an ending pod while it still serves requests`, rendering, () => {
    const { periodSeconds } = container().readinessProbe
    const servedS = container().lifecycle.preStop.sleep.seconds + setting('DRAIN_MS') / 1000
    assert.ok(periodSeconds < servedS)
  })

  test(`${name}: the disruption budget leaves a pod to spare, so a node can be drained`, rendering, () => {
    const { minAvailable, unhealthyPodEvictionPolicy } = spec('PodDisruptionBudget')
    assert.ok(spec('HorizontalPodAutoscaler').minReplicas >= minAvailable + 1)
    assert.equal(unhealthyPodEvictionPolicy, 'AlwaysAllow')
  })

  test(`${name}: only the autoscaler sets the number of pods, and it can measure its metrics`, rendering, () => {
    const { metrics, minReplicas, maxReplicas } = spec('HorizontalPodAutoscaler')
    assert.equal(spec('Deployment').replicas, undefined)
    assert.ok(minReplicas < maxReplicas)
    for (const { resource } of metrics) assert.ok(container().resources.requests[resource.name], resource.name)
  })

  test(`${name}: the database has a connection for every pod that can exist at once`, rendering, () => {
    const { strategy, minReadySeconds, template } = spec('Deployment')
    const { maxReplicas } = spec('HorizontalPodAutoscaler')
    // In a roll-out the next pod starts when the last one has held for minReadySeconds, and the ones before may still be ending.
    const endingMost = Math.ceil(template.spec.terminationGracePeriodSeconds / minReadySeconds)
    const podsMost = maxReplicas + strategy.rollingUpdate.maxSurge + Math.min(maxReplicas, endingMost)
    // For people, pg_dump, the migration, the exporter, and those that PostgreSQL keeps for its superuser.
    const others = 20
    assert.ok(podsMost * setting('FLATLINE__DATABASE__POOL_MAX') + others <= maxConnections(name))
  })

  test(`${name}: Node.js reaches its own memory limit before that of the container`, rendering, () => {
    const heapMiB = Number(/--max-old-space-size=(\d+)/.exec(config().NODE_OPTIONS ?? '')?.[1])
    const limitMiB = mebibytes(container().resources.limits.memory)
    assert.ok(heapMiB <= 0.75 * limitMiB)
    assert.ok(mebibytes(container().resources.requests.memory) <= limitMiB)
  })

  test(`${name}: a Prometheus scrape ends before the next begins`, rendering, () => {
    const [endpoint] = spec('ServiceMonitor').endpoints
    assert.ok(Number.parseInt(endpoint.scrapeTimeout, 10) < Number.parseInt(endpoint.interval, 10))
  })
}

test('the loss of all three databases at once loses less than five minutes', rendering, () => {
  const [cluster] = ofKind(overlay('production'), 'Cluster')
  const { archive_timeout } = cluster?.spec.postgresql.parameters ?? {}
  const archivedS = 60 * Number(/^(\d+)min$/.exec(archive_timeout)?.[1])
  const uploadS = 120
  assert.ok(archivedS + uploadS <= 300)
  assert.ok(cluster?.spec.plugins.some(({ isWALArchiver }: { isWALArchiver: boolean }) => isWALArchiver))
})

test('an acknowledged heartbeat is on two databases, so the third may be missing', rendering, () => {
  const [cluster] = ofKind(overlay('production'), 'Cluster')
  const { instances, postgresql } = cluster?.spec ?? {}
  assert.deepEqual(postgresql.synchronous, {
    method: 'any',
    number: 1,
    dataDurability: 'required',
    failoverQuorum: true,
  })
  assert.ok(instances - 1 > postgresql.synchronous.number)
})

test('the standby region has no pods, and a database that only replicates', rendering, () => {
  const documents = overlay('disaster-recovery')
  const [cluster] = ofKind(documents, 'Cluster')
  const archive = (name: string) => find(documents, 'ObjectStore', name).spec.configuration.destinationPath
  assert.equal(find(documents, 'Deployment', 'flatline').spec.replicas, 0)
  assert.deepEqual(cluster?.spec.replica, { enabled: true, source: 'origin' })
  assert.deepEqual(Object.keys(cluster?.spec.bootstrap), ['recovery'])
  const [production] = ofKind(overlay('production'), 'ObjectStore')
  assert.equal(archive('flatline-origin'), production?.spec.configuration.destinationPath)
  assert.notEqual(archive('flatline-backups'), archive('flatline-origin'))
})

function maxConnections(name: string): number {
  const [cluster] = ofKind(overlay(name), 'Cluster')
  if (cluster) return Number(cluster.spec.postgresql.parameters.max_connections)
  const { args } = find(overlay(name), 'StatefulSet', 'flatline-postgres').spec.template.spec.containers[0]
  return Number(/max_connections=(\d+)/.exec(args.join(' '))?.[1])
}

function mebibytes(quantity: string): number {
  const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(quantity) ?? []
  assert.ok(amount, `${quantity} is neither Mi nor Gi`)
  return Number(amount) * (unit === 'Gi' ? 1024 : 1)
}
