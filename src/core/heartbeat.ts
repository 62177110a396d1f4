// What a signal means is decided by the address it came to and then by what the monitor's owner asked for, in the order of
// the Healthchecks protocol: a method filter, then a body filter (which overrides the address altogether), and above
// all a paused monitor that only its owner may resume. An e-mail has no method, and filters of its own.

import type { Status } from './status.ts'

export const signalKinds = ['success', 'start', 'fail', 'log'] as const
export type SignalKind = (typeof signalKinds)[number]

/** `ign` is kept in the history but has no effect. */
export type HeartbeatKind = SignalKind | 'ign'

/** One heartbeat as it changes a monitor. `at` is its receive time in epoch milliseconds. */
export type Heartbeat = { kind: HeartbeatKind; at: number; rid: string | null; exitStatus: number | null }

export type SignalFilters = {
  manualResume: boolean
  methods: string
  filterHttpBody: boolean
  filterDefaultFail: boolean
  startKw: string
  successKw: string
  failureKw: string
  filterSubject: boolean
  filterBody: boolean
}

/** What the filters see of an e-mail: its subject and the texts of its body, decoded. */
export type MailText = { subject: string; text: string }

export type Signal = { kind: SignalKind; method: string; body: Buffer | null; mail: MailText | null }

export function decideKind(filters: SignalFilters, status: Status, signal: Signal): HeartbeatKind {
  if (status === 'paused' && filters.manualResume) return 'ign'
  if (signal.mail !== null) return kindOfMail(filters, signal.mail)
  if (filters.methods !== '' && signal.method !== filters.methods) return 'ign'
  // Bytes are compared, so that a body which is not UTF-8 is no special case.
  return filters.filterHttpBody ? kindByKeyword(filters, signal.body ?? '') : signal.kind
}

function kindOfMail(filters: SignalFilters, { subject, text }: MailText): HeartbeatKind {
  const { filterSubject, filterBody } = filters
  if (!filterSubject && !filterBody) return 'success'
  return kindByKeyword(filters, `${filterSubject ? subject : ''}\n${filterBody ? text : ''}`)
}

function kindByKeyword(filters: SignalFilters, content: Buffer | string): HeartbeatKind {
  if (containsAny(content, filters.failureKw)) return 'fail'
  if (containsAny(content, filters.successKw)) return 'success'
  if (containsAny(content, filters.startKw)) return 'start'
  return filters.filterDefaultFail ? 'fail' : 'ign'
}

function containsAny(content: Buffer | string, keywords: string): boolean {
  return keywords.split(',').some((keyword) => keyword.trim() !== '' && content.includes(keyword.trim()))
}
