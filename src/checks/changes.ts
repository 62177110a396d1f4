// What the audit log says about a change: the settings before and after it, by their names on the wire.

import type { State } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import { type AnyField, allFields, type Check, type Settings, wireValue } from './fields/fields.ts'
import { channelsText } from './relations/channel-names.ts'
import { selectChannelIds } from './relations/channels-store.ts'

export type Changes = { before: Record<string, unknown>; after: Record<string, unknown> }

const textMax = 200

/**
 * The changes of a write: settings, channels (undefined leaves them unchanged) and the status, which a pause or a
 * resume changes.
 */
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

/** Adds the channels to the changes; returns false if they are the same as before. */
export function noteChannels(changes: Changes, had: readonly string[], has: readonly string[]): boolean {
  if ([...had].sort().join() === [...has].sort().join()) return false
  changes.before.channels = channelsText(had)
  changes.after.channels = channelsText(has)
  return true
}

/** The settings that differ. */
export function settingChanges(before: Settings, after: Settings): Changes {
  const changes: Changes = { before: {}, after: {} }
  for (const field of allFields) {
    if (before[field.setting] === after[field.setting]) continue
    changes.before[field.name] = shown(field, before)
    changes.after[field.name] = shown(field, after)
  }
  return changes
}

function shown(field: AnyField, settings: Settings): unknown {
  const value = wireValue(field, settings, 'milliseconds')
  return typeof value === 'string' ? value.slice(0, textMax) : value
}
