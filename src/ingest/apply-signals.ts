import type { Decision } from '../checks/service.ts'
import type { CausedFlip } from '../checks/store.ts'
import type { BlindWindow } from '../core/blind-time.ts'
import { rulesOf, type WatchedCheck } from '../core/check.ts'
import { decideKind, type HeartbeatKind } from '../core/heartbeat.ts'
import { pingLimitPauseMs } from '../core/ping-limit.ts'
import { stillUnsettled, widened } from '../core/reevaluate.ts'
import { onHeartbeat, onTime, type State } from '../core/status.ts'
import { nameUnheard, type Watermark } from '../core/watermark.ts'
import { contentOf } from './content-filters.ts'
import type { Received } from './signal.ts'
import type { Recorded } from './store.ts'

export type Applied = Decision & { recorded: Recorded[]; limited: { id: string; forMs: number }[] }

/**
 * Facts beside the check's row. `contents`: the kinds that the filters decided, by the ids of the signals. `watermark`:
 * other replicas may hold heartbeats received later than this, so no later deadline is applied. `lastFlipAt`: the
 * instant of the last recorded flip, if a signal may be older. `recent`: the instants of the heartbeats of the last
 * minute, for a check with a ping limit.
 */
export type SignalContext = {
  windows: readonly BlindWindow[]
  watermark: Watermark
  lastFlipAt: number | null
  recent: readonly number[]
  contents: ReadonlyMap<string, HeartbeatKind | null>
}

/**
 * Applies a check's signals in the order of their receipt, each after the deadlines that had passed by then. If a
 * signal is older than what was applied before, or follows a deadline that cannot be applied yet, the history from
 * there on is to be evaluated again.
 */
export function applySignals(check: WatchedCheck, received: readonly Received[], context: SignalContext): Applied {
  const { maxPingsPerMinute } = check.settings
  const rules = rulesOf(check.settings)
  const flips: CausedFlip[] = []
  const recorded: Recorded[] = []
  const limited: Applied['limited'] = []
  let { state, unsettled } = check
  let newest = newestOf(state, context.lastFlipAt)
  for (const signal of received) {
    const { at, rid, exitStatus, requestId } = signal
    if (maxPingsPerMinute !== null) {
      const forMs = pingLimitPauseMs(
        [...context.recent, ...recorded.map((row) => row.received.at)],
        maxPingsPerMinute,
        at,
      )
      if (forMs > 0) {
        limited.push({ id: signal.id, forMs })
        continue
      }
    }
    if (at < newest) {
      const kind = decideKind(check.settings, state.status, contentOf(signal), context.contents.get(signal.id))
      if (kind !== 'log' && kind !== 'ign' && mayMatter(state, kind, at, context.lastFlipAt)) {
        unsettled = widened(unsettled, at, at)
      }
      state = { ...state, n: state.n + 1 }
      recorded.push({ checkId: check.id, received: signal, n: state.n, kind, durationMs: null })
      continue
    }
    const timed = onTime(rules, state, Math.min(at, context.watermark.through), context.windows)
    const kind = decideKind(check.settings, timed.state.status, contentOf(signal), context.contents.get(signal.id))
    const changed = onHeartbeat(rules, timed.state, { kind, at, rid, exitStatus }, context.windows)
    if (kind !== 'log' && kind !== 'ign') unsettled = stillUnsettled(rules, timed.state, at, unsettled, context.windows)
    if (timed.flip) flips.push(nameUnheard(timed.flip, context.watermark.unheard))
    if (changed.flip) flips.push({ ...changed.flip, requestId })
    state = changed.state
    newest = newestOf(state, Math.max(newest, changed.flip?.at ?? newest))
    recorded.push({ checkId: check.id, received: signal, n: state.n, kind, durationMs: changed.durationMs })
  }
  return { check, state, flips, recorded, limited, unsettled }
}

function newestOf({ lastPing, lastStart }: State, lastFlipAt: number | null): number {
  return Math.max(lastPing ?? 0, lastStart ?? 0, lastFlipAt ?? 0)
}

/**
 * A late success changes nothing if the check has been up since before it, without counted failures, without an open
 * run, and without a run that it may have ended.
 */
function mayMatter(state: State, kind: string, at: number, lastFlipAt: number | null): boolean {
  const isCalm =
    state.status === 'up' &&
    state.failures === 0 &&
    state.missed === 0 &&
    state.lastStart === null &&
    state.openRuns.length === 0 &&
    at < (state.lastPing ?? 0) - (state.lastDurationMs ?? 0) &&
    (lastFlipAt ?? 0) < at
  return kind !== 'success' || !isCalm
}
