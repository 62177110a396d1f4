import type { FastifyRequest } from 'fastify'
import { addressIn } from '../../../http/admission/client-address.ts'
import type { Sender } from '../../signal.ts'

/**
 * The sender as a proxy reports it, for information only; for text that is not an address, the address of the socket.
 */
export function senderOf(request: FastifyRequest): Sender {
  const { headers, method } = request
  const [forwarded = ''] = String(headers['x-forwarded-for'] ?? '').split(',', 1)
  const proto = String(headers['x-forwarded-proto'] ?? '')
  return {
    address: request.clientAddress,
    remoteAddr: addressIn(forwarded) ?? addressIn(request.socket.remoteAddress ?? '') ?? '',
    scheme: /^[a-z][a-z0-9+.-]{0,9}$/i.test(proto) ? proto : 'http',
    method,
    ua: headers['user-agent'] ?? '',
  }
}
