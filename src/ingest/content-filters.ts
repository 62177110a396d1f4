// What the filters of checks say of heartbeats, found out before these are applied: hundreds of keywords in bodies of a hundred kilobytes, or in
// one message to a hundred checks, take seconds, in which everybody else gets a turn.

import { setImmediate as turn } from 'node:timers/promises'
import { type HeartbeatKind, kindByContent, type SignalFilters } from '../core/heartbeat.ts'
import type { Received } from './service.ts'

const turnAfterMs = 20

/** Resolves at once, or, when the work since the last turn has taken long, once everybody else had one. */
export type Pause = () => Promise<void>

export function createPauses(): Pause {
  let began = performance.now()
  return async () => {
    if (performance.now() - began < turnAfterMs) return
    await turn()
    began = performance.now()
  }
}

/** By the ids of the heartbeats of one check; empty where no filter looks at any. */
export async function kindsByContent(
  filters: SignalFilters,
  received: readonly Received[],
  pause: Pause,
): Promise<Map<string, HeartbeatKind | null>> {
  const contents = new Map<string, HeartbeatKind | null>()
  if (!filters.filterHttpBody && received.every(({ mail }) => mail === null)) return contents
  for (const signal of received) {
    contents.set(signal.id, kindByContent(filters, signal))
    await pause()
  }
  return contents
}
