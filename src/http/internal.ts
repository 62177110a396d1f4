// Whether a request comes from the machine or the private network of this process. A proxy in that network passes on what comes from anywhere,
// and a page that a browser loaded under a name of its own (DNS rebinding) sends that name: neither counts.

import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { createAddressList } from './address-list.ts'

const isPrivate = createAddressList(['loopback', 'linklocal', 'uniquelocal'])
const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
/** Names that no public resolver knows; one without a dot is of this machine, a container network or a cluster. */
const privateName = /^[^.]+$|\.(local|localhost|localdomain|internal|lan|svc|home\.arpa)$/i

export function isInternal(request: FastifyRequest): boolean {
  const { clientAddress, headers, host } = request
  const isForwarded = forwarding.some((name) => headers[name] !== undefined)
  // A trusted proxy says whom it speaks for.
  if (isForwarded && request.ips === undefined) return false
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return isPrivate(clientAddress) && (isIP(name) > 0 || privateName.test(name))
}
