// When a heartbeat that lies in the spool may be acknowledged. Other replicas rely on this: after a report that all its heartbeats are in the
// database a replica acknowledges nothing from its spool for a while, unless a later report has said that it spools, or another replica has
// taken what it spooled. So whoever finds the process gone, or standing still, within that time knows that it has acknowledged nothing that
// they cannot see. Heartbeats are on disk meanwhile; only their answer waits, and only at the beginning of an outage.

export type Acknowledging = ReturnType<typeof createAcknowledging>

/** A process that has not ticked for so long stood still: others may have taken that for granted since. */
const stoodStillMs = 1500
const lookEveryMs = 50

export function createAcknowledging(options: {
  monotonic: () => number
  /** When others last learned how this replica stands, on the monotonic clock, and whether they know since then that it spools. */
  lastReport: () => { at: number; spools: boolean }
  /** Alone there is nobody who could judge without its heartbeats. */
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
    if (now - tickedAt > stoodStillMs) awakeSince = now
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
    // In the order of time: those that may be answered come first.
    const first = held.findIndex(({ since }) => !mayAnswer(since))
    const due = held.splice(0, first === -1 ? held.length : first)
    if (held.length > 0) timer = setTimeout(release, lookEveryMs)
    for (const { answer } of due) answer()
  }

  return {
    /** Calls `answer` at once, or as soon as it may. */
    hold(answer: () => void): void {
      const since = monotonic()
      if (held.length > 0 || !mayAnswer(since)) {
        held.push({ since, answer })
        timer ??= setTimeout(release, lookEveryMs)
      } else answer()
    },
    /** To be called twice a second. */
    tick,
    /** Answers whatever waits: the process ends, and what is in the spool is on disk. */
    close(): void {
      clearTimeout(timer)
      for (const { answer } of held.splice(0)) answer()
    },
  }
}
