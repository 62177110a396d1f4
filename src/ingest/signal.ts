// The result of a dialect for a request, and its stages on the way into the database.

import type { KeyKind } from '../accounts/store.ts'
import type { HeartbeatKind, MailText, SignalKind } from '../core/heartbeat.ts'
import type { QuotaRefusal } from '../quotas/limits.ts'
import type { SignatureProblem } from './signing/verification.ts'

/** A project; or, while its key cannot be looked up, the hash of the key and the kinds of key that may do this. */
export type ProjectRef = { id: string } | { keyHash: string; kinds: readonly KeyKind[] }

/**
 * The check that a signal is for. `within` is the project that it must belong to; null if the address itself is the
 * credential. `create` creates the check if there is none. A token is the `push_token` of a check.
 */
export type Target =
  | { by: 'id'; checkId: string; within: ProjectRef | null }
  | { by: 'slug'; project: ProjectRef; slug: string; create: boolean }
  | { by: 'token'; token: string }

/**
 * `address` is the one that limits count: that of the socket, or the one that a trusted proxy reports. `remoteAddr` and
 * `scheme` are what the headers claim, for the history.
 */
export type Sender = { address: string; remoteAddr: string; scheme: string; method: string; ua: string }

/**
 * What a sender has signed, before anybody knows whether the check requires it: the header, and the method and address
 * of the request. The body belongs to it unless the dialect drops bodies.
 */
export type Signature = { header: string; request: string; hasBody: boolean }

export type Signal = {
  target: Target
  kind: SignalKind
  exitStatus: number | null
  rid: string | null
  /** When it was sent, according to its sender and within limits, in epoch milliseconds; null for now. */
  sentAt: number | null
  /** The sender's own id for it, so that it counts once however often it is sent. */
  dedupeKey: string | null
  body: Buffer | null
  /** The texts of an e-mail. */
  mail: MailText | null
  sender: Sender
  /** The id of its request, for the flip that it causes. */
  requestId: string
  /** Null without a signature, and for heartbeats that cannot have one. */
  signature?: Signature | null
}

/**
 * A signal with its id, a uuid v7. `at` is the time that counts for the check, `acceptedAt` the time at which the
 * service received it; they differ if the sender says when it was sent. Epoch milliseconds by the database's clock.
 */
export type Received = Omit<Signal, 'sentAt'> & {
  id: string
  at: number
  acceptedAt: number
  /** True for a heartbeat from a spool, which was already answered with success. */
  isAcknowledged?: true
}

/** Heartbeats by the ids of their checks, those of each check in the order of their receipt. */
export type ByCheck = ReadonlyMap<string, readonly Received[]>

/**
 * All but `recorded` mean that nothing was stored: there is no such check, several have this slug, or the limit of
 * its owner or the quota of its project is reached, or the check requires a signature.
 */
export type Outcome =
  | { recorded: HeartbeatKind; created: boolean }
  | { limitedForMs: number }
  | QuotaRefusal
  | { unsigned: SignatureProblem }
  | 'duplicate'
  | 'unknown'
  | 'ambiguous'

/** The outcomes that the metrics count. */
export type HeartbeatOutcome =
  | 'recorded'
  | 'duplicate'
  | 'unknown'
  | 'limited'
  | 'unsigned'
  | 'refused'
  | 'spooled'
  | 'dropped'
  | 'quarantined'

export const pingKinds: readonly KeyKind[] = ['ping_key']
export const uploadKinds: readonly KeyKind[] = ['ping_key', 'api_key']

/** The project that the sender named or proved; null if the address is the credential. */
export function projectRefOf(target: Target): ProjectRef | null {
  if (target.by === 'token') return null
  return target.by === 'slug' ? target.project : target.within
}

/** Identifies the address in logs and among others: the id of the check, its slug or its token. */
export function addressOf(target: Target): string {
  if (target.by === 'token') return target.token
  return target.by === 'id' ? target.checkId : target.slug
}

/** Null if it is not known yet. */
export function projectIdOf(target: Target): string | null {
  const ref = projectRefOf(target)
  return ref !== null && 'id' in ref ? ref.id : null
}
