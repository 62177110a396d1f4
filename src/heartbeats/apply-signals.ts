import type { BlindWindow } from '../core/blind-time.ts'
import { decideKind } from '../core/heartbeat.ts'
import { rulesOf, type WatchedMonitor } from '../core/monitor.ts'
import { pingLimitPauseMs } from '../core/ping-limit.ts'
import { onHeartbeat, onTime } from '../core/status.ts'
import type { Decision } from '../monitors/service.ts'
import type { CausedFlip } from '../monitors/store.ts'
import type { Received } from './service.ts'
import type { Recorded } from './store.ts'

export type Applied = Decision & { recorded: Recorded[]; limited: { id: string; forMs: number }[] }

/**
 * Applies a monitor's signals in the order of their receipt, each after what time had done until then. `recent` are the instants of
 * those before them, for a monitor whose owner limits how many may come.
 */
export function applySignals(
  monitor: WatchedMonitor,
  received: readonly Received[],
  windows: readonly BlindWindow[],
  recent: readonly number[],
): Applied {
  const { maxPingsPerMinute } = monitor.settings
  const rules = rulesOf(monitor.settings)
  const flips: CausedFlip[] = []
  const recorded: Recorded[] = []
  const limited: Applied['limited'] = []
  let { state } = monitor
  for (const signal of received) {
    const { at, rid, exitStatus, requestId } = signal
    if (maxPingsPerMinute !== null) {
      const forMs = pingLimitPauseMs([...recent, ...recorded.map((row) => row.received.at)], maxPingsPerMinute, at)
      if (forMs > 0) {
        limited.push({ id: signal.id, forMs })
        continue
      }
    }
    const timed = onTime(rules, state, at, windows)
    const kind = decideKind(monitor.settings, timed.state.status, signal)
    const heard = onHeartbeat(rules, timed.state, { kind, at, rid, exitStatus }, windows)
    if (timed.flip) flips.push(timed.flip)
    if (heard.flip) flips.push({ ...heard.flip, requestId })
    state = heard.state
    recorded.push({ received: signal, n: state.n, kind, durationMs: heard.durationMs })
  }
  return { monitor, state, flips, recorded, limited }
}
