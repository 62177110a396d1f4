// The address of the client: that of the socket, or the one that a trusted proxy reports. A proxy passes on what its
// client wrote, and some append a port. If the text is not an address, the address of the proxy counts, because limits,
// the audit log and the log need one.

import { isIP } from 'node:net'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * An IPv4 or IPv6 address without port and zone; use it instead of `ip`, which may be any text if proxies are
     * trusted.
     */
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

/** `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, `fe80::1%eth0`; undefined for anything else. */
export function addressIn(text: string): string | undefined {
  const [, v4, v6] = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(text.trim()) ?? []
  const address = withoutZone(v4 ?? v6 ?? text.trim())
  return isIP(address) > 0 ? address : undefined
}

/** A zone may be of any length and has no meaning on another machine. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%')
  return zone === -1 ? address : address.slice(0, zone)
}
