// Where a request comes from: the address of the socket, or what a trusted proxy says. A proxy passes on what its
// client wrote, and some write a port after the address. If the text is not an address the proxy's own address counts,
// because limits, the audit trail and the log need an address.

import { isIP } from 'node:net'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyRequest {
    /** An IPv4 or IPv6 address without port and zone; in place of `ip`, which may be any text where proxies are trusted. */
    readonly clientAddress: string
  }
}

export const clientAddressPlugin = fp(
  async (app) => {
    app.decorateRequest('clientAddress', {
      getter() {
        return addressIn(this.ip ?? '') ?? addressIn(this.socket.remoteAddress ?? '') ?? '0.0.0.0'
      },
    })
  },
  { name: 'http-client-address' },
)

/** `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, `fe80::1%eth0`; undefined for what is none of them. */
export function addressIn(text: string): string | undefined {
  const [, v4, v6] = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(text.trim()) ?? []
  const address = withoutZone(v4 ?? v6 ?? text.trim())
  return isIP(address) > 0 ? address : undefined
}

/** A zone may be of any length and means nothing on another machine. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%')
  return zone === -1 ? address : address.slice(0, zone)
}
