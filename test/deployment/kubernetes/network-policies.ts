// Computes which connections NetworkPolicies allow. A pod that no policy selects for a direction allows all
// connections in that direction; a selected pod allows only those that one of its policies allows. A connection
// between two pods must be allowed at both ends.

import { BlockList, isIPv6 } from 'node:net'
import { type Labels, type Manifest, type Node, selects } from './kustomize.ts'

export type Pod = { namespace: string; labels: Labels; ports?: Record<string, number> }
export type End = Pod | { address: string }
export type Connection = { from: End; to: End; port: number; protocol?: 'TCP' | 'UDP' }

type Direction = 'Ingress' | 'Egress'

export function isAllowed(policies: Manifest[], connection: Connection): boolean {
  const { from, to } = connection
  return agrees(policies, 'Egress', from, to, connection) && agrees(policies, 'Ingress', to, from, connection)
}

function agrees(policies: Manifest[], direction: Direction, here: End, peer: End, connection: Connection): boolean {
  if ('address' in here) return true
  const mine = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === here.namespace &&
      spec.policyTypes.includes(direction) &&
      selects(spec.podSelector, here.labels),
  )
  return (
    mine.length === 0 ||
    mine.some((policy) => rulesOf(policy, direction).some((rule) => fits(policy, rule, peer, connection)))
  )
}

type Rule = { peers: Node[] | undefined; ports: Node[] | undefined }

function rulesOf({ spec }: Manifest, direction: Direction): Rule[] {
  if (direction === 'Ingress') return (spec.ingress ?? []).map(({ from, ports }: Node) => ({ peers: from, ports }))
  return (spec.egress ?? []).map(({ to, ports }: Node) => ({ peers: to, ports }))
}

function fits(
  policy: Manifest,
  { peers, ports }: Rule,
  peer: End,
  { to, port, protocol = 'TCP' }: Connection,
): boolean {
  const named = 'address' in to ? {} : (to.ports ?? {})
  const portFits = (one: Node) => (one.protocol ?? 'TCP') === protocol && (named[one.port] ?? one.port) === port
  return (!peers || peers.some((one) => peerFits(policy, one, peer))) && (!ports || ports.some(portFits))
}

function peerFits({ metadata }: Manifest, { ipBlock, namespaceSelector, podSelector = {} }: Node, peer: End): boolean {
  if ('address' in peer) return ipBlock !== undefined && contains(ipBlock, peer.address)
  if (ipBlock) return false
  const rightNamespace = namespaceSelector
    ? selects(namespaceSelector, { 'kubernetes.io/metadata.name': peer.namespace })
    : peer.namespace === metadata.namespace
  return rightNamespace && selects(podSelector, peer.labels)
}

function contains({ cidr, except = [] }: { cidr: string; except?: string[] }, address: string): boolean {
  const within = (range: string) => {
    const [network = '', bits] = range.split('/')
    if (isIPv6(network) !== isIPv6(address)) return false
    const list = new BlockList()
    list.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4')
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return within(cidr) && !except.some(within)
}
