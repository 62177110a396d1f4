// What a signal means is decided by the address it came to and then by what the monitor's owner asked for, in the order of
// the Healthchecks protocol: a method filter, then a body filter (which overrides the address altogether), and above
// all a paused monitor that only its owner may resume.

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
}

export type Signal = { kind: SignalKind; method: string; body: Buffer | null }

export function decideKind(filters: SignalFilters, status: Status, signal: Signal): HeartbeatKind {
  if (status === 'paused' && filters.manualResume) return 'ign'
  if (filters.methods !== '' && signal.method !== filters.methods) return 'ign'
  return filters.filterHttpBody ? kindByKeyword(filters, signal.body) : signal.kind
}

function kindByKeyword(filters: SignalFilters, body: Buffer | null): HeartbeatKind {
  if (containsAny(body, filters.failureKw)) return 'fail'
  if (containsAny(body, filters.successKw)) return 'success'
  if (containsAny(body, filters.startKw)) return 'start'
  return filters.filterDefaultFail ? 'fail' : 'ign'
}

/** Compares bytes, so that a body which is not UTF-8 is no special case. */
function containsAny(body: Buffer | null, keywords: string): boolean {
  if (body === null) return false
  return keywords.split(',').some((keyword) => keyword.trim() !== '' && body.includes(keyword.trim()))
}
