// When a heartbeat in the spool may be acknowledged. Other replicas rely on this rule: after a report that the database
// holds all its heartbeats, a replica acknowledges nothing from its spool for a while, unless a later report has said
// that it spools, or another replica has taken the contents of its spool. So a replica that finds the process gone or
// frozen within that time knows that the process has acknowledged nothing that the database does not hold. The
// heartbeats are on disk meanwhile; only their answer waits, and only at the beginning of an outage.

/** A process that has not ticked for this long was frozen, and other replicas may have acted on that. */
const frozenAfterMs = 1500
const recheckEveryMs = 50

export function createAcknowledging(options: {
  monotonic: () => number
  /** When this replica last reported to others, on the monotonic clock, and whether it reported that it spools. */
  lastReport: () => { at: number; spools: boolean }
  /** Without other replicas nobody applies a deadline without this replica's heartbeats. */
  hasPeers: () => boolean
  delayMs: number
}) {
  const { monotonic, lastReport, hasPeers, delayMs } = options
  let tickedAt = monotonic()
  let awakeSince = Number.NEGATIVE_INFINITY
  const held: { since: number; answer: () => void }[] = []
  let timer: NodeJS.Timeout | undefined

  function tick(): void {
    const now = monotonic()
    if (now - tickedAt > frozenAfterMs) awakeSince = now
    tickedAt = now
  }

  function mayAnswer(since: number): boolean {
    if (!hasPeers()) return true
    tick()
    const { at, spools } = lastReport()
    return spools || at > since || tickedAt >= Math.max(at, awakeSince) + delayMs
  }

  function release(): void {
    timer = undefined
    // They are in order of time, so those that may be answered come first.
    const first = held.findIndex(({ since }) => !mayAnswer(since))
    const due = held.splice(0, first === -1 ? held.length : first)
    if (held.length > 0) timer = setTimeout(release, recheckEveryMs)
    for (const { answer } of due) answer()
  }

  return {
    /** Calls `answer` at once, or as soon as the rule allows it. */
    hold(answer: () => void): void {
      const since = monotonic()
      if (held.length > 0 || !mayAnswer(since)) {
        held.push({ since, answer })
        timer ??= setTimeout(release, recheckEveryMs)
      } else answer()
    },
    /** Call it twice a second. */
    tick,
    /** Answers everything that waits: the process ends, and the contents of the spool are on disk. */
    close(): void {
      clearTimeout(timer)
      for (const { answer } of held.splice(0)) answer()
    },
  }
}
