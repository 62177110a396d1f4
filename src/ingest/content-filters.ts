// Applies the filters of checks to the contents of heartbeats, before the state machine decides. Hundreds of keywords in
// bodies of a hundred kilobytes, or in one message to a hundred checks, take seconds, so the event loop does other work
// in between.

import { setImmediate as turn } from 'node:timers/promises'
import { type HeartbeatKind, kindByContent, type SignalContent, type SignalFilters } from '../core/heartbeat.ts'
import type { Received } from './signal.ts'

const turnAfterMs = 20

export function contentOf({ kind, sender, body, mail }: Received): SignalContent {
  return { kind, method: sender.method, body, mail }
}

/** Resolves at once; after long work only when the event loop has done other work. */
export type Pause = () => Promise<void>

export function createPauses(): Pause {
  let began = performance.now()
  return async () => {
    if (performance.now() - began < turnAfterMs) return
    await turn()
    began = performance.now()
  }
}

/** By the ids of the heartbeats of one check; empty if no filter reads any. */
export async function kindsByContent(
  filters: SignalFilters,
  received: readonly Received[],
  pause: Pause,
): Promise<Map<string, HeartbeatKind | null>> {
  const contents = new Map<string, HeartbeatKind | null>()
  if (!filters.filterHttpBody && received.every(({ mail }) => mail === null)) return contents
  for (const signal of received) {
    contents.set(signal.id, kindByContent(filters, contentOf(signal)))
    await pause()
  }
  return contents
}
