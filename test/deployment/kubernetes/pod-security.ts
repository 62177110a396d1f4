// Checks pods against the Pod Security Standard "restricted", which includes "baseline", and against this project's
// further rules. Returns one line for each violation.

import type { Node } from './kustomize.ts'

const allowedVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]

const allowedSysctls = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_syncookies',
]

const allowedSelinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']

/** What the API server would refuse. */
export function restrictedViolations(pod: Node): string[] {
  return [
    ...hostViolations(pod),
    ...volumeViolations(pod),
    ...containersOf(pod).flatMap((container) =>
      [...baselineViolations(pod, container), ...restrictedContainerViolations(pod, container)].map(
        (violation) => `${container.name}: ${violation}`,
      ),
    ),
  ]
}

/** What it would let pass, and we do not. */
export function hardeningViolations(pod: Node): string[] {
  const containers = containersOf(pod)
  return [
    ...when(pod.automountServiceAccountToken !== false, 'automountServiceAccountToken is not false'),
    ...containers.flatMap(({ name, image, resources, securityContext }) => [
      ...when(securityContext?.readOnlyRootFilesystem !== true, `${name}: the root file system can be written`),
      ...when(!resources?.requests?.cpu || !resources?.requests?.memory, `${name}: nothing is requested`),
      ...when(!resources?.limits?.cpu || !resources?.limits?.memory, `${name}: nothing is limited`),
      ...when(!isPinned(image), `${name}: ${image} is not pinned to a version`),
    ]),
  ]
}

/** By digest, or by a tag that names a version down to its patch. */
export function isPinned(image: string): boolean {
  return /@sha256:[0-9a-f]{64}$/.test(image) || /:v?\d+\.\d+[\w.-]*$/.test(image)
}

function hostViolations(pod: Node): string[] {
  return [
    ...['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => pod[field]).map((field) => `${field} is set`),
    ...when(pod.securityContext?.windowsOptions?.hostProcess, 'is a host process'),
    ...(pod.securityContext?.sysctls ?? [])
      .filter(({ name }: Node) => !allowedSysctls.includes(name))
      .map(({ name }: Node) => `sysctl ${name}`),
  ]
}

function volumeViolations(pod: Node): string[] {
  return (pod.volumes ?? []).flatMap(({ name, ...source }: Node) =>
    Object.keys(source)
      .filter((kind) => !allowedVolumes.includes(kind))
      .map((kind) => `volume ${name} is of kind ${kind}`),
  )
}

function baselineViolations(pod: Node, { ports = [], securityContext = {} }: Node): string[] {
  const { procMount = 'Default' } = securityContext
  return [
    ...when(securityContext.privileged, 'is privileged'),
    ...when(procMount !== 'Default', `procMount is ${procMount}`),
    ...when(
      ports.some(({ hostPort }: Node) => hostPort),
      'takes a port of the host',
    ),
    ...[pod.securityContext, securityContext].flatMap((context) => [
      ...when(!allowedSelinuxTypes.includes(context?.seLinuxOptions?.type ?? ''), 'has another SELinux type'),
      ...when(context?.seLinuxOptions?.user || context?.seLinuxOptions?.role, 'has another SELinux user or role'),
      ...when(context?.appArmorProfile?.type === 'Unconfined', 'runs without AppArmor'),
    ]),
  ]
}

function restrictedContainerViolations(pod: Node, { securityContext = {} }: Node): string[] {
  const { allowPrivilegeEscalation, capabilities } = securityContext
  const both = { ...pod.securityContext, ...securityContext }
  return [
    ...when(allowPrivilegeEscalation !== false, 'may gain privileges'),
    ...when(both.runAsNonRoot !== true, 'may run as root'),
    ...when(both.runAsUser === 0, 'runs as root'),
    ...when(!['RuntimeDefault', 'Localhost'].includes(both.seccompProfile?.type), 'has no seccomp profile'),
    ...when(!capabilities?.drop?.includes('ALL'), 'keeps capabilities'),
    ...(capabilities?.add ?? [])
      .filter((name: string) => name !== 'NET_BIND_SERVICE')
      .map((name: string) => `adds capability ${name}`),
  ]
}

function containersOf(pod: Node): Node[] {
  return [...(pod.initContainers ?? []), ...pod.containers, ...(pod.ephemeralContainers ?? [])]
}

function when(broken: unknown, violation: string): string[] {
  return broken ? [violation] : []
}
