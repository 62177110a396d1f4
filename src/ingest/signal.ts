// What a dialect makes of a request, and what becomes of it on its way into the database.

import type { KeyKind } from '../accounts/store.ts'
import type { HeartbeatKind, MailText, SignalKind } from '../core/heartbeat.ts'
import type { QuotaRefusal } from '../quotas/limits.ts'

/** A project; or, while its key cannot be looked up, the hash of the key and the kinds of key that may do this. */
export type ProjectRef = { id: string } | { keyHash: string; kinds: readonly KeyKind[] }

/**
 * The check that a signal is for. `within` is the project that it must belong to; null where the address itself is the
 * credential. `create` makes the check if there is none. A token is the `push_token` of a check.
 */
export type Target =
  | { by: 'id'; checkId: string; within: ProjectRef | null }
  | { by: 'slug'; project: ProjectRef; slug: string; create: boolean }
  | { by: 'token'; token: string }

/**
 * `address` is the one that limits count: the socket's, or that which a trusted proxy names. `remoteAddr` and `scheme`
 * are what the headers claim, as the history shows them.
 */
export type Sender = { address: string; remoteAddr: string; scheme: string; method: string; ua: string }

export type Signal = {
  target: Target
  kind: SignalKind
  exitStatus: number | null
  rid: string | null
  /** When it was sent, by its sender and within limits, in epoch milliseconds; null for now. */
  sentAt: number | null
  /** What its sender calls it, to be counted once however often it is sent. */
  dedupeKey: string | null
  body: Buffer | null
  /** The texts of an e-mail. */
  mail: MailText | null
  sender: Sender
  /** Of the request that carried it, for the flip that it causes. */
  requestId: string
}

/**
 * A signal with its id, a uuid v7. `at` is the time that counts for the check, `acceptedAt` that at which the service
 * took it; they differ if the sender says when it was sent. Epoch milliseconds by the database's clock.
 */
export type Received = Omit<Signal, 'sentAt'> & {
  id: string
  at: number
  acceptedAt: number
  /** True for a heartbeat out of a spool, which was answered with success already. */
  isAcknowledged?: true
}

/** Heartbeats by the ids of their checks, those of each check in the order of their receipt. */
export type ByCheck = ReadonlyMap<string, readonly Received[]>

/**
 * All but `recorded` mean that nothing was stored: there is no such check, several have this slug, or the limit of
 * its owner or the quota of its project is reached.
 */
export type Outcome =
  | { recorded: HeartbeatKind; created: boolean }
  | { limitedForMs: number }
  | QuotaRefusal
  | 'duplicate'
  | 'unknown'
  | 'ambiguous'

/** The outcomes that the metrics count. */
export type HeartbeatOutcome =
  | 'recorded'
  | 'duplicate'
  | 'unknown'
  | 'limited'
  | 'refused'
  | 'spooled'
  | 'dropped'
  | 'quarantined'

export const pingKinds: readonly KeyKind[] = ['ping_key']
export const uploadKinds: readonly KeyKind[] = ['ping_key', 'api_key']

/** The project that the sender named or proved; null where the address is the credential. */
export function projectRefOf(target: Target): ProjectRef | null {
  if (target.by === 'token') return null
  return target.by === 'slug' ? target.project : target.within
}

/** Names the address in logs and among equals: the id of the check, its slug or its token. */
export function addressOf(target: Target): string {
  if (target.by === 'token') return target.token
  return target.by === 'id' ? target.checkId : target.slug
}

/** Null where it is not known yet. */
export function projectIdOf(target: Target): string | null {
  const ref = projectRefOf(target)
  return ref !== null && 'id' in ref ? ref.id : null
}
