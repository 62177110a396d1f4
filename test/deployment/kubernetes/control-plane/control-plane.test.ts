// The manifests against a real API server with the definitions of the operators, and a roll-out by the real controllers. Neither npm nor
// Debian has kube-apiserver, so this runs only on request: with etcd, kube-apiserver and kube-controller-manager on the PATH,
//   TEST_KUBERNETES_CRDS=<directory of CustomResourceDefinitions> node test/run.ts test/deployment/kubernetes/control-plane/control-plane.test.ts

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, scratchDir } from '../../../helper.ts'
import { manifests, overlays } from '../kustomize.ts'
import { type ControlPlane, isReady, type Pod, podsOf, programs, runPods, startControlPlane } from './control-plane.ts'

const definitions = process.env.TEST_KUBERNETES_CRDS
const absent = programs.filter((program) => spawnSync(program, ['--help']).error)
if (definitions && absent.length > 0)
  throw new Error(`TEST_KUBERNETES_CRDS is set, but ${absent.join()} is not installed`)
const skip = definitions ? false : 'TEST_KUBERNETES_CRDS is not set: no real API server judges the manifests'

const namespace = 'flatline-production'
const deployment = `/apis/apps/v1/namespaces/${namespace}/deployments/flatline`
const image = 'ghcr.io/flatline/flatline'

test('a real API server accepts the manifests, and the real controllers roll them out', { skip }, async (t) => {
  const plane = await startControlPlane(t)
  await plane.kubectl('create', '--filename', String(definitions))
  await plane.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s')
  for (const name of ['staging', 'production']) {
    await plane.kubectl('apply', '--filename', join(manifests, `overlays/${name}/namespace.yaml`))
  }

  const named = [...overlays, 'loadbalancer'].map((name) => [name, join(manifests, 'overlays', name)] as const)
  for (const [name, overlay] of [...named, ['other components', await otherComponents(t)] as const]) {
    await t.test(`${name}: nothing is refused, warned about or unknown`, async () => {
      for (const side of [['--server-side'], []]) {
        const args = ['apply', ...side, '--dry-run=server', '--validate=strict', '--kustomize', overlay]
        const { stdout, stderr } = await plane.kubectl(...args)
        // The namespaces were applied the one way and are applied the other way here.
        const warnings = stderr.split('\n').filter((line) => !line.includes('/last-applied-configuration'))
        assert.deepEqual(warnings, [''])
        assert.ok(stdout.split('\n').length > 20)
      }
    })
  }

  await t.test('a mistake is refused', async () => {
    await plane.kubectl('apply', '--server-side', '--kustomize', join(manifests, 'overlays/production'))
    const patch = { spec: { strategy: { type: 'Rolling' } } }
    await assert.rejects(plane.api('PATCH', `${deployment}?dryRun=All`, patch), /422 .*supported values/)
  })

  await t.test('the autoscaler makes three pods, and a roll-out never has fewer ready ones', async (t) => {
    await runPods(t, plane, namespace)
    await eventually('three ready pods', async () => (await serving(plane)).length === 3)
    const seen = await watchPods(t, plane)
    await rollTo(plane, '0.2.0')
    await plane.kubectl('--namespace', namespace, 'rollout', 'status', 'deployment/flatline', '--timeout=300s')
    assert.deepEqual(new Set((await serving(plane)).map(imageOf)), new Set([`${image}:0.2.0`]))
    assert.deepEqual(seen(), { fewestReady: 3, most: 4 })
  })

  await t.test('a version that never gets ready stays one pod beside the three, and is rolled back', async (t) => {
    await runPods(t, plane, namespace)
    const seen = await watchPods(t, plane)
    await rollTo(plane, 'broken')
    await eventually('the broken pod', async () =>
      (await podsOf(plane, namespace)).some(
        (pod) => imageOf(pod).endsWith(':broken') && pod.status.phase === 'Running',
      ),
    )
    await assert.rejects(
      plane.kubectl('--namespace', namespace, 'rollout', 'status', 'deployment/flatline', '--timeout=15s'),
      /timed out/,
    )
    await plane.kubectl('--namespace', namespace, 'rollout', 'undo', 'deployment/flatline')
    await eventually('the broken pod to go', async () => (await podsOf(plane, namespace)).length === 3)
    assert.deepEqual(new Set((await serving(plane)).map(imageOf)), new Set([`${image}:0.2.0`]))
    assert.deepEqual(seen(), { fewestReady: 3, most: 4 })
  })

  await t.test('the disruption budget lets a node evict one pod at a time', async () => {
    const budget = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/flatline`
    await eventually('the budget', async () => (await plane.api('GET', budget)).status.disruptionsAllowed === 1)
    const [first, second] = await serving(plane)
    const evict = (pod: Pod | undefined) =>
      plane.api('POST', `/api/v1/namespaces/${namespace}/pods/${pod?.metadata.name}/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: pod?.metadata.name },
      })
    await evict(first)
    await assert.rejects(evict(second), /429 .*disruption budget/)
  })
})

/** Production behind Traefik, and with secrets from a vault. */
async function otherComponents(t: TestContext): Promise<string> {
  const dir = await scratchDir(t)
  await cp(manifests, join(dir, 'k8s'), { recursive: true })
  await cp(join(manifests, '../monitoring'), join(dir, 'monitoring'), { recursive: true })
  const overlay = join(dir, 'k8s/overlays/production')
  const path = join(overlay, 'kustomization.yaml')
  const text = await readFile(path, 'utf8')
  await writeFile(
    path,
    text
      .replace('components/haproxy', 'components/traefik')
      .replace('# - ../../components/ext', '- ../../components/ext'),
  )
  return overlay
}

async function rollTo(plane: ControlPlane, tag: string): Promise<void> {
  await plane.kubectl('--namespace', namespace, 'set', 'image', 'deployment/flatline', `flatline=${image}:${tag}`)
}

async function serving(plane: ControlPlane): Promise<Pod[]> {
  return (await podsOf(plane, namespace)).filter(isServing)
}

const isServing = (pod: Pod) => isReady(pod) && !pod.metadata.deletionTimestamp
const imageOf = ({ spec }: Pod) => String(spec.containers[0]?.image)

/** The extremes of all states that the API goes through from now on, not counting pods that are ending. */
async function watchPods(t: TestContext, plane: ControlPlane): Promise<() => { fewestReady: number; most: number }> {
  const pods = new Map((await podsOf(plane, namespace)).map((pod) => [pod.metadata.name, pod]))
  let [fewestReady, most] = [Number.POSITIVE_INFINITY, 0]
  const count = () => {
    const alive = [...pods.values()].filter(({ metadata }) => !metadata.deletionTimestamp)
    fewestReady = Math.min(fewestReady, alive.filter(isReady).length)
    most = Math.max(most, alive.length)
  }
  count()
  const events = await plane.watch(t, `/api/v1/namespaces/${namespace}/pods`)
  events.on('line', (line) => {
    const { type, object } = JSON.parse(line) as { type: string; object: Pod }
    if (type === 'DELETED') pods.delete(object.metadata.name)
    else pods.set(object.metadata.name, object)
    count()
  })
  return () => ({ fewestReady, most })
}
