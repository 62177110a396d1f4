// A problem that gets worse is reported at once; one that gets better, once that has lasted for a while. So a problem
// that comes and goes is reported once.

import type { AlertLevel, Judgement } from './rules.ts'

/** `now` in milliseconds. */
export function createCalm({ calmMs, now }: { calmMs: number; now: () => number }) {
  /** Rules that are better than last reported: since when, and the worst judgement since then. */
  const calming = new Map<string, { since: number; worst: Judgement }>()

  /**
   * What to report of a rule that was last reported at `before` and has this judgement now; undefined if nothing yet.
   */
  return function afterCalm(rule: string, before: AlertLevel | undefined, judgement: Judgement): Judgement | undefined {
    if (rank(judgement?.level) >= rank(before)) {
      calming.delete(rule)
      return judgement
    }
    const calm = calming.get(rule) ?? { since: now(), worst: judgement }
    if (rank(judgement?.level) >= rank(calm.worst?.level)) calm.worst = judgement
    calming.set(rule, calm)
    if (now() - calm.since < calmMs) return undefined
    calming.delete(rule)
    return calm.worst
  }
}

const ranks: Record<AlertLevel, number> = { INFO: 1, WARNING: 2, CRITICAL: 3 }
const rank = (level: AlertLevel | undefined) => (level === undefined ? 0 : ranks[level])
