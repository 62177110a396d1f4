// The address that a signal came to decides what it means; then the filters that the owner of the check has set, in the
// order of the Healthchecks protocol: a method filter, then a body filter, which overrides the address. A paused check
// that only its owner may resume ignores every signal. An e-mail has no method and has its own filters.

import type { Status } from './status.ts'

export const signalKinds = ['success', 'start', 'fail', 'log'] as const
export type SignalKind = (typeof signalKinds)[number]

/** `ign` is kept in the history but has no effect. */
export type HeartbeatKind = SignalKind | 'ign'

/** The part of a heartbeat that can change a check. `at` is its receive time in epoch milliseconds. */
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

/** What the filters read of an e-mail: its subject and the decoded texts of its body. Empty if no filter reads it. */
export type MailText = { subject: string; text: string }

/** What the filters need to know about a signal, and the kind that its address says. */
export type SignalContent = { kind: SignalKind; method: string; body: Buffer | null; mail: MailText | null }

/** `byContent` is the result of `kindByContent`, if the caller already has it. */
export function decideKind(
  filters: SignalFilters,
  status: Status,
  signal: SignalContent,
  byContent = kindByContent(filters, signal),
): HeartbeatKind {
  return status === 'paused' && filters.manualResume ? 'ign' : (byContent ?? signal.kind)
}

/**
 * The kind that the filters decide; null if no filter applies. Hundreds of keywords in a long text take some
 * milliseconds.
 */
export function kindByContent(filters: SignalFilters, signal: SignalContent): HeartbeatKind | null {
  if (signal.mail !== null) return kindOfMail(filters, signal.mail)
  if (filters.methods !== '' && signal.method !== filters.methods) return 'ign'
  // The filters compare bytes, so a body that is not UTF-8 is no special case.
  if (!filters.filterHttpBody) return null
  return kindByKeyword(filters, (keyword) => signal.body?.includes(keyword) ?? false)
}

function kindOfMail(filters: SignalFilters, mail: MailText): HeartbeatKind {
  const { filterSubject, filterBody } = filters
  if (!filterSubject && !filterBody) return 'success'
  const { subject, text } = seenMail(mail)
  const content = `${filterSubject ? subject : ''} ${filterBody ? text : ''}`
  return kindByKeyword(filters, (keyword) => content.includes(asSeen(keyword).trim()))
}

/** The cache exists because one message may be for a hundred checks. */
const seenMails = new WeakMap<MailText, MailText>()

function seenMail(mail: MailText): MailText {
  const known = seenMails.get(mail)
  if (known !== undefined) return known
  const seen = { subject: asSeen(mail.subject).trimEnd(), text: asSeen(mail.text).trimStart() }
  seenMails.set(mail, seen)
  return seen
}

/**
 * No language has longer sequences of combining marks, and the time to sort one grows with the square of its length
 * (UAX 15, section 13).
 */
const longMarks = /\p{M}{30}(?=\p{M})/gu
const joiner = '\u034f'

/**
 * Texts that look the same become equal: any white space (of indentation, of a wrapped line, non-breaking) becomes one
 * blank, and characters without width are removed.
 */
function asSeen(text: string): string {
  return text
    .replace(longMarks, `$&${joiner}`)
    .normalize('NFC')
    .replace(/\u034f|[\u00ad\u200b-\u200d\u2060\ufeff]/g, '')
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
