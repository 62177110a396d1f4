// What the audit trail says of a change: settings by their names on the wire, before and after.

import type { Check, Settings } from '../core/check.ts'
import type { State } from '../core/status.ts'
import type { Queryable } from '../database/client.ts'
import { isoMillis } from '../kit/instant.ts'
import { channelsText } from './channel-names.ts'
import { selectChannelIds } from './channels-store.ts'

export type Changes = { before: Record<string, unknown>; after: Record<string, unknown> }

const textMax = 200

/** What is about to differ: settings, channels (unless they are left alone) and, for whoever pauses and resumes, the status. */
export async function changesOf(
  tx: Queryable,
  before: Check,
  after: { check: Check; state: State; channelIds: readonly string[] | undefined },
): Promise<Changes> {
  const { check, state, channelIds } = after
  const changes = settingChanges(before.settings, check.settings)
  if (state.status !== before.state.status) {
    changes.before.status = before.state.status
    changes.after.status = state.status
  }
  if (channelIds) noteChannels(changes, await selectChannelIds(tx, before.id), channelIds)
  return changes
}

/** True if they are others than before. */
export function noteChannels(changes: Changes, had: readonly string[], has: readonly string[]): boolean {
  if ([...had].sort().join() === [...has].sort().join()) return false
  changes.before.channels = channelsText(had)
  changes.after.channels = channelsText(has)
  return true
}

/** Those that differ. */
export function settingChanges(before: Settings, after: Settings): Changes {
  const changes: Changes = { before: {}, after: {} }
  for (const key of Object.keys(after) as (keyof Settings)[]) {
    if (before[key] === after[key]) continue
    changes.before[wireName(key)] = wireValue(key, before[key])
    changes.after[wireName(key)] = wireValue(key, after[key])
  }
  return changes
}

/** `timeoutS` is `timeout` there, `maxRuntimeS` `max_runtime`. */
function wireName(key: keyof Settings): string {
  return key.replace(/S$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function wireValue(key: keyof Settings, value: Settings[keyof Settings]): unknown {
  if (key === 'pausedUntil' && typeof value === 'number') return isoMillis(value)
  return typeof value === 'string' ? value.slice(0, textMax) : value
}
