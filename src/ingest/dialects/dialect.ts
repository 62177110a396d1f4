// A dialect is one protocol in which heartbeats are sent: it says where they arrive, what they mean, and how they are
// answered. There are three kinds. `pings`: a request is one heartbeat, and its address is the credential. `uploads`: a
// request contains many heartbeats, and a key of their project. `listener`: a server of another protocol. mount/mount.ts
// derives from it who may call, rate limits, how bodies are read, preflights, load shedding, the label of the metrics, the
// request log and the entry in the description of the API; the log derives what it must redact (logging/redaction.ts). A
// new dialect is a file here, a line in all.ts, a test and a row of docs/protocols.md.

import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifySchema } from 'fastify'
import type { Config } from '../../config/load.ts'
import type { Query } from '../../http/schemas/query.ts'
import type { Outcome, ProjectRef, Signal, Target } from '../signal.ts'

export type Dialect = PingDialect | UploadDialect | ListenerDialect

type Named = {
  /** Unique; the name of a row of docs/protocols.md. */
  name: string
  /** The page that specifies it: a public address, or a page of docs/ for one of Flatline's own. */
  source: string
}

type Served = Named & { methods: readonly string[]; routes: readonly DialectRoute[] }

/**
 * `label` stands for the address in metrics. An alias is another spelling of an address, which the description of the
 * API leaves out.
 */
type DialectRoute = { path: string; label: string; schema: FastifySchema; isAlias: boolean }

export type PingDialect = Served & {
  kind: 'pings'
  /** `kept` up to the limit, or read and dropped. */
  body: 'kept' | 'ignored'
  /** Failures at addresses that match are answered in this dialect, even if there is no route. */
  claims: RegExp
  parse: (request: PingRequest) => ParsedPing
  answer: (result: Result, limits: { bodyLimitBytes: number }) => Reply
}

export type UploadDialect = Served & {
  kind: 'uploads'
  bodyMaxBytes: number
  /**
   * The text of each heartbeat. They are parsed one by one, so that a large body never becomes as many objects at once.
   */
  split: (body: string) => readonly string[]
  /** `now` in epoch milliseconds. */
  parse: (text: string, to: { project: ProjectRef; now: number }) => ParsedHeartbeat
  /** The results in the order of the texts. The answer is serialised by the schema of its route; a failure is an AppError. */
  answer: (results: readonly Result[]) => object
}

export type ListenerDialect = Named & {
  kind: 'listener'
  /** Null if it is switched off. */
  open: (app: FastifyInstance, config: Config) => Promise<Listener | null>
}

/** It listens before the main listener does, so that a port that is in use stops the start. */
export type Listener = { listen: () => Promise<void>; close: () => Promise<void> }

/** The check as a ping names it. The mount looks up the owner of the ping key. */
export type PingAddress =
  | Extract<Target, { by: 'id' | 'token' }>
  | { by: 'slug'; pingKey: string; slug: string; create: boolean }

export type PingRequest = { params: Readonly<Record<string, string | undefined>>; query: Query }

/**
 * What a dialect reads from a request or an entry; the rest of the signal comes from the request. If `body` is absent,
 * it is the body of the request.
 */
export type HeartbeatContent = Pick<Signal, 'kind' | 'exitStatus' | 'rid'> &
  Partial<Pick<Signal, 'sentAt' | 'dedupeKey' | 'body'>>

/** Why a heartbeat is not recorded, in the words of the dialect. */
export type Refusal = { status: number; text: string; retryAfterS?: number }

/** The outcome of a heartbeat. */
export type Result = Outcome | Refusal

/** A refusal with an address is given only if there is such a check; otherwise the outcome is `unknown`. */
export type ParsedPing = { to: PingAddress; content: HeartbeatContent } | { to: PingAddress | null; refusal: Refusal }

export type ParsedHeartbeat = { to: Target; content: HeartbeatContent } | { refusal: Refusal }

export type Reply = { status: number; headers: OutgoingHttpHeaders; body: string }
