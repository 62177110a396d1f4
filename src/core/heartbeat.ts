// What a signal means is decided by the address it came to and then by what the check's owner asked for, in the order of
// the Healthchecks protocol: a method filter, then a body filter (which overrides the address altogether), and above
// all a paused check that only its owner may resume. An e-mail has no method, and filters of its own.

import type { Status } from './status.ts'

export const signalKinds = ['success', 'start', 'fail', 'log'] as const
export type SignalKind = (typeof signalKinds)[number]

/** `ign` is kept in the history but has no effect. */
export type HeartbeatKind = SignalKind | 'ign'

/** One heartbeat as it changes a check. `at` is its receive time in epoch milliseconds. */
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

/** What the filters and the address say of a heartbeat. */
export type SignalContent = { kind: SignalKind; method: string; body: Buffer | null; mail: MailText | null }

/** `byContent` is what its content says, where that has been looked at before. */
export function decideKind(
  filters: SignalFilters,
  status: Status,
  signal: SignalContent,
  byContent = kindByContent(filters, signal),
): HeartbeatKind {
  return status === 'paused' && filters.manualResume ? 'ign' : (byContent ?? signal.kind)
}

/** What the filters say of a signal; null where none looks at it. Hundreds of keywords in a long text take some milliseconds. */
export function kindByContent(filters: SignalFilters, signal: SignalContent): HeartbeatKind | null {
  if (signal.mail !== null) return kindOfMail(filters, signal.mail)
  if (filters.methods !== '' && signal.method !== filters.methods) return 'ign'
  // Bytes are compared, so that a body which is not UTF-8 is no special case.
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

/** One message may be for a hundred checks. */
const seenMails = new WeakMap<MailText, MailText>()

function seenMail(mail: MailText): MailText {
  const known = seenMails.get(mail)
  if (known !== undefined) return known
  const seen = { subject: asSeen(mail.subject).trimEnd(), text: asSeen(mail.text).trimStart() }
  seenMails.set(mail, seen)
  return seen
}

/** Longer rows of marks are no language's; to put them in order takes a time that grows with the square of their number (UAX 15, 13). */
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
