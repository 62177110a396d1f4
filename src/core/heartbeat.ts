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

/** What the filters see of an e-mail: its subject and the texts of its body, decoded. Empty for one that no filter looks at. */
export type MailText = { subject: string; text: string }

export type Signal = { kind: SignalKind; method: string; body: Buffer | null; mail: MailText | null }

export function decideKind(filters: SignalFilters, status: Status, signal: Signal): HeartbeatKind {
  if (status === 'paused' && filters.manualResume) return 'ign'
  if (signal.mail !== null) return kindOfMail(filters, signal.mail)
  if (filters.methods !== '' && signal.method !== filters.methods) return 'ign'
  // Bytes are compared, so that a body which is not UTF-8 is no special case.
  if (!filters.filterHttpBody) return signal.kind
  return kindByKeyword(filters, (keyword) => signal.body?.includes(keyword) ?? false)
}

function kindOfMail(filters: SignalFilters, { subject, text }: MailText): HeartbeatKind {
  const { filterSubject, filterBody } = filters
  if (!filterSubject && !filterBody) return 'success'
  const content = asSeen(`${filterSubject ? subject : ''}\n${filterBody ? text : ''}`)
  return kindByKeyword(filters, (keyword) => content.includes(asSeen(keyword).trim()))
}

/**
 * Texts that look the same become equal: any white space (of indentation, of a wrapped line, non-breaking) becomes one
 * blank, and characters without width are removed.
 */
function asSeen(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/\s+/g, ' ')
}

function kindByKeyword(filters: SignalFilters, contains: (keyword: string) => boolean): HeartbeatKind {
  const containsAny = (keywords: string) =>
    keywords.split(',').some((keyword) => keyword.trim() !== '' && contains(keyword.trim()))
  if (containsAny(filters.failureKw)) return 'fail'
  if (containsAny(filters.successKw)) return 'success'
  if (containsAny(filters.startKw)) return 'start'
  return filters.filterDefaultFail ? 'fail' : 'ign'
}
