// A real control plane on 127.0.0.1: etcd, kube-apiserver and the controllers, without a node. In place of a kubelet, `runPods` gives
// each pod a node, makes it ready and lets it end.

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually, scratchDir } from '../../../helper.ts'
import { patience, pause } from '../../../patience.ts'
import { freePort } from '../../free-port.ts'
import type { Node } from '../kustomize.ts'

export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'setpriv']

export type ControlPlane = {
  kubeconfig: string
  /** An exit code other than 0 is an error. */
  kubectl: (...args: string[]) => Promise<{ stdout: string; stderr: string }>
  /** The answer's document. A status other than 2xx is an error. */
  api: (method: string, path: string, body?: object) => Promise<Node>
  /** One line of JSON for each event, until the test ends. */
  watch: (t: TestContext, path: string) => Promise<Interface>
}

export type Pod = {
  metadata: { name: string; namespace: string; labels: Record<string, string>; deletionTimestamp?: string }
  spec: { nodeName?: string; containers: { image: string }[] }
  status: { phase?: string; conditions?: { type: string; status: string }[] }
}

const controllers = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'horizontal-pod-autoscaler-controller',
  'disruption-controller',
  'serviceaccount-controller',
]

export async function startControlPlane(t: TestContext): Promise<ControlPlane> {
  const dir = await scratchDir(t)
  const token = randomBytes(16).toString('hex')
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()]
  const kubeconfig = join(dir, 'kubeconfig')
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(dir, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(dir, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(join(dir, 'tokens.csv'), `${token},admin,admin,system:masters\n`)
  writeFileSync(kubeconfig, kubeconfigOf(`https://127.0.0.1:${port}`, token))

  startProgram(t, dir, 'etcd', [
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
  ])
  startProgram(t, dir, 'kube-apiserver', [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(dir, 'certificates')}`,
    `--token-auth-file=${join(dir, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(dir, 'sa.pub')}`,
    `--service-account-signing-key-file=${join(dir, 'sa.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
  ])
  const kubectl: ControlPlane['kubectl'] = (...args) =>
    promisify(execFile)('kubectl', args, {
      timeout: patience(120_000),
      maxBuffer: 100e6,
      env: { PATH: process.env.PATH, HOME: dir, KUBECONFIG: kubeconfig },
    })
  await eventually('the API server', async () => (await kubectl('get', '--raw', '/readyz')).stdout.startsWith('ok'))
  startProgram(t, dir, 'kube-controller-manager', [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${controllers.join(',')}`,
    `--service-account-private-key-file=${join(dir, 'sa.key')}`,
    '--secure-port=0',
    '--leader-elect=false',
  ])
  const proxy = startProgram(t, dir, 'kubectl', [`--kubeconfig=${kubeconfig}`, 'proxy', '--port=0'])
  const address = await eventually('the proxy', () => /127\.0\.0\.1:\d+/.exec(proxy.output())?.[0])
  const api: ControlPlane['api'] = async (method, path, body) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const init = { method, headers: { 'content-type': type }, ...(body && { body: JSON.stringify(body) }) }
    const answer = await fetch(`http://${address}${path}`, init)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  const watch: ControlPlane['watch'] = async (t, path) => {
    const abort = new AbortController()
    t.after(() => abort.abort())
    const { body } = await fetch(`http://${address}${path}?watch=true`, { signal: abort.signal })
    const lines = createInterface({ input: Readable.fromWeb(body as ReadableStream).on('error', () => undefined) })
    return lines.on('error', () => undefined)
  }
  await eventually('the controllers', () => api('GET', '/api/v1/namespaces/default/serviceaccounts/default'))
  return { kubeconfig, kubectl, api, watch }
}

export async function podsOf({ api }: ControlPlane, namespace: string): Promise<Pod[]> {
  return (await api('GET', `/api/v1/namespaces/${namespace}/pods`)).items
}

export const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false

/** Until the test ends. A pod whose image is tagged `broken` runs and never becomes ready. */
export async function runPods(t: TestContext, plane: ControlPlane, namespace: string): Promise<void> {
  const node = { metadata: { name: 'node' } }
  await plane.api('GET', '/api/v1/nodes/node').catch(() => plane.api('POST', '/api/v1/nodes', node))
  let running = true
  const loop = (async () => {
    for (; running; await pause(100)) {
      // The controllers change the same pods; what conflicts is tried again in the next round.
      for (const pod of await podsOf(plane, namespace).catch(() => [])) await attend(plane, pod).catch(() => undefined)
    }
  })()
  t.after(async () => {
    running = false
    await loop
  })
}

async function attend({ api }: ControlPlane, { metadata, spec, status }: Pod): Promise<void> {
  const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`
  if (metadata.deletionTimestamp) {
    await api('DELETE', path, { gracePeriodSeconds: 0 })
  } else if (!spec.nodeName) {
    const target = { apiVersion: 'v1', kind: 'Node', name: 'node' }
    await api('POST', `${path}/binding`, {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: metadata.name },
      target,
    })
  } else if (status.phase !== 'Running') {
    const isBroken = spec.containers.some(({ image }) => image.endsWith(':broken'))
    const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
      type,
      status: isBroken && type.endsWith('Ready') ? 'False' : 'True',
      lastTransitionTime: new Date().toISOString(),
    }))
    await api('PATCH', `${path}/status`, { status: { phase: 'Running', conditions } })
  }
}

/** Ends with the test, or with this process, whichever way that ends. */
function startProgram(t: TestContext, dir: string, program: string, args: string[]): { output: () => string } {
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', program, ...args],
    { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output = (output + chunk).slice(-20_000)
    })
  }
  let stopping = false
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.once('exit', (code) => stopping || t.diagnostic(`${program} ended with ${code}:\n${output}`))
  t.after(async () => {
    stopping = true
    child.kill('SIGKILL')
    await ended
  })
  return { output: () => output }
}

const kubeconfigOf = (server: string, token: string) => `apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: "${server}", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "${token}"}}]
contexts: [{name: here, context: {cluster: here, user: admin}}]
`
