import type { FastifyContextConfig, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Heartbeats } from '../../service.ts'
import type { Sender, Signal, Signature, Target } from '../../signal.ts'
import type { HeartbeatContent, Refusal, Result } from '../dialect.ts'

/** What the routes of a dialect have because of its kind. */
export type RouteOfKind = { handler: RouteHandlerMethod; config: FastifyContextConfig; bodyLimit?: number }

const notStored: Refusal = { status: 503, text: 'the heartbeat could not be stored, try again shortly', retryAfterS: 1 }
const queueFull: Refusal = { status: 503, text: 'too many heartbeats, try again shortly', retryAfterS: 1 }

/**
 * Calls back with the outcome of the signal; `recorded` means that it is on disk. Throws `bad_request` like the
 * service.
 */
export function receive(
  heartbeats: Pick<Heartbeats, 'receive'>,
  signal: Signal,
  done: (result: Result) => unknown,
): void {
  const isTaken = heartbeats.receive(signal, (error, outcome) => {
    done(error || outcome === undefined ? notStored : outcome)
  })
  if (!isTaken) done(queueFull)
}

export function signalOf(
  { id: requestId }: FastifyRequest,
  { kind, exitStatus, rid, sentAt = null, dedupeKey = null }: HeartbeatContent,
  target: Target,
  body: Buffer | null,
  sender: Sender,
  signature: Signature | null = null,
): Signal {
  return { target, kind, exitStatus, rid, sentAt, dedupeKey, body, mail: null, sender, requestId, signature }
}
