// Notices silence. The database knows when to look at a monitor; what a look means is core/status.ts. Two detectors at once are harmless:
// both may pick the same monitors, the second finds them changed. Time is judged only while the record of
// acceptance is current, because after an outage the deadlines move by its length.

import type { BlindWindow } from '../core/blind-time.ts'
import { rulesOf } from '../core/monitor.ts'
import { onTime } from '../core/status.ts'
import type { Clock } from '../database/clock.ts'
import type { Decision, Monitors } from '../monitors/service.ts'

/**
 * How long after its deadline a monitor is judged. A heartbeat that was received in time may still be on its way to the
 * disk then; the flip is dated at the deadline all the same.
 */
const settleMs = 200

export type Detector = ReturnType<typeof createDetector>

export function createDetector(options: {
  monitors: Pick<Monitors, 'due' | 'change'>
  clock: Clock
  windows: () => readonly BlindWindow[]
  isCurrent: () => boolean
  batchMax: number
  observeLateness: (seconds: number) => void
}) {
  const { monitors, clock, windows, isCurrent, batchMax, observeLateness } = options

  /** Looks at every monitor whose time has come, and returns whether there may be more. */
  return async function detect(): Promise<boolean> {
    if (!isCurrent()) return false
    const now = clock.now() - settleMs
    const ids = await monitors.due(now, batchMax)
    if (ids.length === 0) return false

    let lateness: number[] = []
    await monitors.change(ids, async (locked) => {
      lateness = []
      const current = isCurrent()
      // Another detector may have been here since: what it moved on is not due any more.
      const due = locked.filter(({ lookAt }) => current && lookAt !== null && lookAt <= now)
      return {
        decisions: due.map((monitor): Decision => {
          const { state, flip } = onTime(rulesOf(monitor.settings), monitor.state, now, windows())
          if (flip) lateness.push(clock.now() - flip.at)
          return { monitor, state, flips: flip ? [flip] : [] }
        }),
      }
    })
    for (const ms of lateness) observeLateness(ms / 1000)
    return ids.length === batchMax
  }
}
