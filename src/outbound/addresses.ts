// Which addresses belong to the public internet. IPv4 ranges are listed once and also apply in their IPv6 forms: mapped
// (which BlockList unwraps itself), NAT64 and 6to4.

import { BlockList, isIP } from 'node:net'

const ipv4Ranges: [address: string, bits: number][] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // carrier-grade NAT, and one cloud's metadata
  ['127.0.0.0', 8], // loopback
  ['168.63.129.16', 32], // a cloud's host agent, on a public address
  ['169.254.0.0', 16], // link-local, and most clouds' metadata
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
]

const ipv6Ranges: [address: string, bits: number][] = [
  ['::', 96], // unspecified, loopback, IPv4-compatible
  ['::ffff:0:0:0', 96], // IPv4-translated
  ['64:ff9b:1::', 48], // NAT64 of a local network
  ['100::', 64], // discard
  ['2001::', 23], // protocol assignments, Teredo
  ['2001:db8::', 32], // documentation
  ['3fff::', 20], // documentation
  ['5f00::', 16], // segment routing
  ['fc00::', 7], // unique local
  ['fe80::', 10], // link-local
  ['fec0::', 10], // site-local
  ['ff00::', 8], // multicast
]

const refused = new BlockList()
for (const [address, bits] of ipv6Ranges) refused.addSubnet(address, bits, 'ipv6')
for (const [address, bits] of ipv4Ranges) {
  refused.addSubnet(address, bits, 'ipv4')
  refused.addSubnet(`64:ff9b::${address}`, 96 + bits, 'ipv6')
  refused.addSubnet(`2002:${hexGroups(address)}::`, 16 + bits, 'ipv6')
}

/** False also for text that is not an address. */
export function isPublicAddress(text: string): boolean {
  // BlockList finds an address with a zone in no range.
  const address = text.split('%', 1)[0] as string
  const version = isIP(address)
  return version !== 0 && !refused.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

function hexGroups(ipv4: string): string {
  const hex = ipv4.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))
  return `${hex[0]}${hex[1]}:${hex[2]}${hex[3]}`
}
