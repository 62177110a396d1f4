// Names that the tz database keeps for old times' sake (its file `backward`), each under the name that the same place has today. Not every
// system knows the old ones, so none is stored.

import { legacyZoneNames } from './legacy-zone-names.ts'
import { isTimeZone } from './time-zone.ts'

/** The old names. */
export const legacyZones: readonly string[] = Object.keys(legacyZoneNames)

/** The name that a zone has today; any other text comes back as it is. */
export function currentZone(name: string): string {
  return Object.hasOwn(legacyZoneNames, name) ? (legacyZoneNames[name] as string) : name
}

/** The name under which a zone is known here and now, whatever it was called; null for what is none. */
export function readZone(name: string): string | null {
  const current = currentZone(name)
  return isTimeZone(current) ? current : null
}
