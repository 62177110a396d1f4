// Detects silence. The database knows which checks are due; core/status.ts decides what that means for each. Two
// detectors at once are harmless: both may select the same checks, and the second finds them changed. Deadlines are
// applied only while the record of acceptance is current, because after an outage the deadlines move by its length.

import type { Checks, Decision } from '../checks/service.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import { rulesOf } from '../core/check.ts'
import { onTime } from '../core/status.ts'
import { nameUnheard, type Watermark } from '../core/watermark.ts'
import type { Clock } from '../database/clock.ts'
import { isDatabaseAway } from '../kit/availability.ts'

/**
 * How long after its deadline a check is evaluated: a heartbeat that was received in time may still be on its way to
 * the disk. The flip is dated at the deadline nevertheless.
 */
const settleMs = 200

/** `evaluated` is false if the record of acceptance is too old to apply deadlines; `due` is how many checks were due. */
export type Detection = { evaluated: boolean; due: number; more: boolean }

export type DetectorOptions = {
  checks: Pick<Checks, 'due' | 'change'>
  clock: Clock
  windows: () => readonly BlindWindow[]
  isCurrent: () => boolean
  /** The instant through which all other replicas are heard: no later deadline is applied. */
  watermark: () => Watermark
  refreshWatermark: () => Promise<void>
  /**
   * Receive time of the heartbeat that has waited longest for the disk here: no later deadline is applied before it is
   * written.
   */
  oldestWaiting: () => number | null
  batchMax: number
  observeLateness: (seconds: number) => void
  log: { error(o: object, message: string): void }
}

export function createDetector(options: DetectorOptions) {
  const { checks, clock, windows, isCurrent, watermark, oldestWaiting, batchMax, observeLateness, log } = options

  /** Evaluates every check that is due. */
  return async function detect(): Promise<Detection> {
    if (!isCurrent()) return { evaluated: false, due: 0, more: false }
    const own = Math.min(clock.now() - settleMs, oldestWaiting() ?? Number.POSITIVE_INFINITY)
    const { ids, horizon } = await dueBy(own)
    if (ids.length > 0) await evaluate(ids, horizon).catch((error: Error) => evaluateEach(ids, horizon, error))
    return { evaluated: true, due: ids.length, more: ids.length === batchMax }
  }

  /** Other replicas report twice a second, so their watermark is read again only if a check would be due. */
  async function dueBy(own: number): Promise<{ ids: string[]; horizon: number }> {
    const horizon = Math.min(own, watermark().through)
    const ids = await checks.due(horizon, batchMax)
    if (ids.length > 0 || horizon === own || (await checks.due(own, 1)).length === 0) return { ids, horizon }
    await options.refreshWatermark()
    const later = Math.min(own, watermark().through)
    return { ids: await checks.due(later, batchMax), horizon: later }
  }

  async function evaluate(ids: readonly string[], horizon: number): Promise<void> {
    let lateness: number[] = []
    await checks.change(ids, async (locked) => {
      lateness = []
      const current = isCurrent()
      // Another detector may have changed the check since: then it is not due any more.
      const due = locked.filter(
        ({ lookAt, unsettled }) => current && unsettled === null && lookAt !== null && lookAt <= horizon,
      )
      return {
        decisions: due.map((check): Decision => {
          const { state, flip } = onTime(rulesOf(check.settings), check.state, horizon, windows())
          if (flip) lateness.push(clock.now() - flip.at)
          return { check, state, flips: flip ? [nameUnheard(flip, watermark().unheard)] : [] }
        }),
      }
    })
    for (const ms of lateness) observeLateness(ms / 1000)
  }

  /**
   * One check that cannot be evaluated (a zone that this Node does not know) must not stop the alerts of all others.
   */
  async function evaluateEach(ids: readonly string[], horizon: number, error: Error): Promise<void> {
    if (isDatabaseAway(error)) throw error
    for (const id of ids) {
      await evaluate([id], horizon).catch((err: Error) => {
        if (isDatabaseAway(err)) throw err
        log.error({ err, event: 'detector.unjudged', check: id }, 'a check cannot be evaluated')
      })
    }
  }
}
