import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find, type Node, nameOf, ofKind, overlay, overlays, rendering, workloads } from './kustomize.ts'
import { hardeningViolations, restrictedViolations } from './pod-security.ts'

for (const name of overlays) {
  test(`${name}: every pod satisfies the "restricted" standard and asks for no more than it needs`, rendering, () => {
    const violations = workloads(overlay(name)).flatMap(({ manifest, pod }) =>
      [...restrictedViolations(pod), ...hardeningViolations(pod)].map((text) => `${nameOf(manifest)}: ${text}`),
    )
    assert.deepEqual(violations, [])
  })

  test(`${name}: the namespace enforces "restricted"`, rendering, () => {
    const namespaces = ofKind(overlay(name), 'Namespace')
    assert.equal(namespaces.length, 1)
    for (const mode of ['enforce', 'audit', 'warn']) {
      assert.equal(namespaces[0]?.metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted')
    }
  })
}

test('server and migration run as uid 1000, the user of the image', rendering, () => {
  const users = workloads(overlay('production')).map(({ pod }) => {
    const { runAsUser, runAsGroup } = pod.securityContext
    return [runAsUser, runAsGroup]
  })
  assert.deepEqual(users, [
    [1000, 1000],
    [1000, 1000],
  ])
})

const container = (pod: Node) => pod.containers[0]

const plants: [violation: RegExp, plant: (pod: Node) => void][] = [
  [/hostNetwork/, (pod) => Object.assign(pod, { hostNetwork: true })],
  [/hostPID/, (pod) => Object.assign(pod, { hostPID: true })],
  [/kind hostPath/, (pod) => pod.volumes.push({ name: 'host', hostPath: { path: '/' } })],
  [/kind nfs/, (pod) => pod.volumes.push({ name: 'share', nfs: { server: 'nas', path: '/' } })],
  [
    /sysctl kernel\.msgmax/,
    (pod) => Object.assign(pod.securityContext, { sysctls: [{ name: 'kernel.msgmax', value: '1' }] }),
  ],
  [/AppArmor/, (pod) => Object.assign(pod.securityContext, { appArmorProfile: { type: 'Unconfined' } })],
  [/SELinux type/, (pod) => Object.assign(pod.securityContext, { seLinuxOptions: { type: 'spc_t' } })],
  [/flatline: may run as root/, (pod) => delete pod.securityContext.runAsNonRoot],
  [/flatline: may run as root/, (pod) => Object.assign(container(pod).securityContext, { runAsNonRoot: false })],
  [/runs as root/, (pod) => Object.assign(container(pod).securityContext, { runAsUser: 0 })],
  [/no seccomp profile/, (pod) => delete pod.securityContext.seccompProfile],
  [
    /no seccomp profile/,
    (pod) => Object.assign(container(pod).securityContext, { seccompProfile: { type: 'Unconfined' } }),
  ],
  [/may gain privileges/, (pod) => delete container(pod).securityContext.allowPrivilegeEscalation],
  [/is privileged/, (pod) => Object.assign(container(pod).securityContext, { privileged: true })],
  [/procMount is Unmasked/, (pod) => Object.assign(container(pod).securityContext, { procMount: 'Unmasked' })],
  [/keeps capabilities/, (pod) => delete container(pod).securityContext.capabilities],
  [
    /keeps capabilities/,
    (pod) => Object.assign(container(pod).securityContext, { capabilities: { drop: ['NET_RAW'] } }),
  ],
  [
    /adds capability SYS_ADMIN/,
    (pod) => Object.assign(container(pod).securityContext.capabilities, { add: ['SYS_ADMIN'] }),
  ],
  [/port of the host/, (pod) => Object.assign(container(pod).ports[0], { hostPort: 8000 })],
  [/init: may gain privileges/, (pod) => Object.assign(pod, { initContainers: [{ name: 'init' }] })],
  [/automountServiceAccountToken/, (pod) => delete pod.automountServiceAccountToken],
  [/root file system/, (pod) => delete container(pod).securityContext.readOnlyRootFilesystem],
  [/nothing is requested/, (pod) => delete container(pod).resources.requests.memory],
  [/nothing is limited/, (pod) => delete container(pod).resources.limits],
  [/not pinned/, (pod) => Object.assign(container(pod), { image: 'ghcr.io/flatline/flatline:latest' })],
  [/not pinned/, (pod) => Object.assign(container(pod), { image: 'ghcr.io/flatline/flatline' })],
]

test('the check finds a pod with any one of these weaknesses', rendering, () => {
  const { spec } = find(overlay('production'), 'Deployment', 'flatline')
  for (const [violation, plant] of plants) {
    const pod = structuredClone(spec.template.spec)
    plant(pod)
    const found = [...restrictedViolations(pod), ...hardeningViolations(pod)]
    assert.ok(
      found.some((text) => violation.test(text)),
      `${violation} was not found, but ${JSON.stringify(found)}`,
    )
  }
})

test('the check accepts the one capability that "restricted" allows to add', rendering, () => {
  const pod = structuredClone(find(overlay('production'), 'Deployment', 'flatline').spec.template.spec)
  container(pod).securityContext.capabilities.add = ['NET_BIND_SERVICE']
  assert.deepEqual(restrictedViolations(pod), [])
})
