// The identity of this process among the replicas, and the address at which the others reach it.

import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

export type Identity = { id: string; name: string; token: string; tokenHash: string }

/** A new identity for each process; if it has a spool, its id is that of the spool. */
export function createIdentity(spoolId: string | undefined): Identity {
  const token = randomBytes(32).toString('base64url')
  const tokenHash = createHash('sha256').update(token).digest('hex')
  return { id: spoolId ?? randomUUID(), name: hostname().slice(0, 100), token, tokenHash }
}

/**
 * The address at which other replicas reach a server that listens at `listening`. If it listens on all addresses, that
 * is the first address of this machine that is not internal.
 */
export function addressOf(listening: AddressInfo | null, interfaces = networkInterfaces()): string | null {
  if (listening === null) return null
  const { address, family, port } = listening
  if (!['0.0.0.0', '::'].includes(address)) return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  const outward = Object.values(interfaces).flatMap((found) => found?.filter(({ internal }) => !internal) ?? [])
  const best = outward.find((found) => found.family === 'IPv4') ?? outward.find(({ scopeid }) => scopeid === 0)
  if (best === undefined) return null
  return `http://${best.family === 'IPv6' ? `[${best.address}]` : best.address}:${port}`
}
