// A problem that gets worse is reported at once; a problem that gets better is reported once the improvement has lasted
// for a while. So a problem that comes and goes is reported once.

import type { AlertLevel, Evaluation } from './rules.ts'

/** Delays the report of an improvement by `calmMs`; `now` in milliseconds. */
export function createClearDelay({ calmMs, now }: { calmMs: number; now: () => number }) {
  /** Rules that are better than last reported: since when, and the worst evaluation since then. */
  const improving = new Map<string, { since: number; worst: Evaluation }>()

  /**
   * What to report for a rule that was last reported at level `before` and has this evaluation now; undefined if
   * nothing yet.
   */
  return function reportable(
    rule: string,
    before: AlertLevel | undefined,
    evaluation: Evaluation,
  ): Evaluation | undefined {
    if (rank(evaluation?.level) >= rank(before)) {
      improving.delete(rule)
      return evaluation
    }
    const improvement = improving.get(rule) ?? { since: now(), worst: evaluation }
    if (rank(evaluation?.level) >= rank(improvement.worst?.level)) improvement.worst = evaluation
    improving.set(rule, improvement)
    if (now() - improvement.since < calmMs) return undefined
    improving.delete(rule)
    return improvement.worst
  }
}

const ranks: Record<AlertLevel, number> = { INFO: 1, WARNING: 2, CRITICAL: 3 }
const rank = (level: AlertLevel | undefined) => (level === undefined ? 0 : ranks[level])
