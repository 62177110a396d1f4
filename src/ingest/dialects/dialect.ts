// A dialect is one way in which heartbeats are sent: its addresses, what a request says, and how it is answered, as one value. The
// mount (mount.ts) derives everything else from it: body, access, preflights, load shedding, the label of the metrics, and the entry in the
// description of the API. A new dialect is a file here, a line in all.ts, a test and a row of docs/protocols.md; if its path holds a credential,
// also a rule of logging/redaction.ts.

import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifySchema } from 'fastify'
import type { Query } from '../../http/schemas/query.ts'
import type { Outcome, Signal, Target } from '../signal.ts'

/** The check as the request names it. The mount looks up whose ping key it is. */
export type Address =
  | Extract<Target, { by: 'id' | 'token' }>
  | { by: 'slug'; pingKey: string; slug: string; create: boolean }

export type IngestRequest = { params: Readonly<Record<string, string | undefined>>; query: Query }

/** What a request says; the rest of the signal comes from the request itself. */
export type Said = Pick<Signal, 'kind' | 'exitStatus' | 'rid'> & { body?: Buffer | null }

/** Why a request is not recorded, in the words of the dialect. */
export type Refusal = { status: number; text: string; retryAfterS?: number }

/** A refusal with an address is given only if there is such a check; otherwise the outcome is `unknown`. */
export type Parsed = { to: Address; said: Said } | { to: Address | null; refusal: Refusal }

export type Reply = { status: number; headers: OutgoingHttpHeaders; body: string }

/** `label` stands for the address in metrics. The schema describes the call and validates nothing; null for another spelling of an address. */
type DialectRoute = { path: string; label: string; schema: FastifySchema | null }

export type Dialect = {
  /** Unique; a row of docs/protocols.md bears it. */
  name: string
  /** The public page that says how it is spoken. */
  source: string
  methods: readonly string[]
  routes: readonly DialectRoute[]
  /** `kept` up to the limit, or read and dropped. */
  body: 'kept' | 'ignored'
  /** Whether it answers preflights itself, with its own headers; every address below /api/ answers them anyway. */
  preflights: boolean
  /** Failures at addresses that match are answered in this dialect, even if there is no route. */
  claims?: RegExp
  parse: (request: IngestRequest) => Parsed
  answer: (result: Outcome | Refusal, limits: { bodyLimitBytes: number }) => Reply
}
