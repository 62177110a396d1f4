// Old names of time zones (the file `backward` of the tz database), each with the current name of the same place. Not
// every system knows the old names, so the service never stores them.

import { legacyZoneNames } from './legacy-zone-names.ts'
import { isTimeZone } from './time-zone.ts'

/** The current name of a zone; any other text is returned unchanged. */
export function currentZone(name: string): string {
  return Object.hasOwn(legacyZoneNames, name) ? (legacyZoneNames[name] as string) : name
}

/**
 * The current name of a zone that is given by its current or an old name; null for a name that this system does not
 * know.
 */
export function readZone(name: string): string | null {
  const current = currentZone(name)
  return isTimeZone(current) ? current : null
}
