// Whether a request comes from the machine or the private network of this process. A request that a proxy in that
// network forwards may come from anywhere, and a page in a browser may reach this process by a public name that
// resolves to it (DNS rebinding): neither counts as internal.

import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { createAddressList } from './address-list.ts'

const isPrivate = createAddressList(['loopback', 'linklocal', 'uniquelocal'])
const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
/**
 * Names that no public resolver knows; a name without a dot belongs to this machine, a container network or a cluster.
 */
const privateName = /^[^.]+$|\.(local|localhost|localdomain|internal|lan|svc|home\.arpa)$/i

export function isInternal(request: FastifyRequest): boolean {
  const { clientAddress, headers, host } = request
  const isForwarded = forwarding.some((name) => headers[name] !== undefined)
  // A trusted proxy names the client.
  if (isForwarded && request.ips === undefined) return false
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return isPrivate(clientAddress) && (isIP(name) > 0 || privateName.test(name))
}
