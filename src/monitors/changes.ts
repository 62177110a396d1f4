// What the audit trail says of a change: settings by their names on the wire, before and after.

import { isoMillis } from '../core/instant.ts'
import type { Settings } from '../core/monitor.ts'

export type Changes = { before: Record<string, unknown>; after: Record<string, unknown> }

const textMax = 200

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
