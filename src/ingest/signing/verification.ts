// Heartbeats of a check with a signing secret count only with a signature like that of outgoing webhooks:
// X-Flatline-Signature: t=<unix seconds>,v1=<hex>, an HMAC-SHA256 of "<t>.<method> <address>.<body>". Every heartbeat of
// every dialect, also of uploads, e-mails and spools, passes here before it is recorded.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Received } from '../signal.ts'

/** `unreadable`: no key of this process decrypts the secret. */
export type SignatureProblem = 'missing' | 'malformed' | 'expired' | 'wrong' | 'unreadable'

export const signatureTexts: Readonly<Record<SignatureProblem, string>> = {
  missing: 'this check requires signed heartbeats (X-Flatline-Signature)',
  malformed: 'X-Flatline-Signature must be t=<unix seconds>,v1=<64 hex digits>',
  expired: 'the time of the signature is more than 5 minutes off',
  wrong: 'the signature does not match',
  unreadable: 'the signing secret of this check cannot be read',
}

/** `until` in epoch milliseconds; null for the current secret. */
export type SigningSecret = { secret: string; until: number | null }

const windowMs = 300_000
const format = /^t=(\d{1,11}),v1=([0-9a-f]{64})$/

/**
 * The hex digits of a valid signature, by which a repeated request is recognised, or what is wrong. `sitePath` is the
 * part of the address that a proxy may have removed.
 */
export function verifySignature(
  { signature, acceptedAt, body }: Pick<Received, 'signature' | 'acceptedAt' | 'body'>,
  secrets: readonly SigningSecret[] | null,
  sitePath: string,
): { mac: string } | SignatureProblem {
  if (secrets === null) return 'unreadable'
  if (!signature) return 'missing'
  const [, seconds, given] = format.exec(signature.header) ?? []
  if (seconds === undefined || given === undefined) return 'malformed'
  if (Math.abs(Number(seconds) * 1000 - acceptedAt) > windowMs) return 'expired'
  const expected = Buffer.from(given, 'hex')
  const content = signature.hasBody && body !== null ? body : Buffer.alloc(0)
  const [method = '', address = ''] = signature.request.split(' ')
  const addresses = sitePath === '' ? [address] : [address, sitePath + address]
  for (const { secret, until } of secrets) {
    if (until !== null && acceptedAt >= until) continue
    for (const signed of addresses) {
      const mac = createHmac('sha256', secret).update(`${seconds}.${method} ${signed}.`).update(content).digest()
      if (timingSafeEqual(mac, expected)) return { mac: given }
    }
  }
  return 'wrong'
}
