// Writes src/schedule/legacy-zone-names.ts from the sources of the tz database, a checkout of https://github.com/eggert/tz
// or an unpacked https://data.iana.org/time-zones/tzdb-latest.tar.lz:
//   node scripts/write-legacy-zones.ts <directory>
// `backward` has a link for each old name. Names in zone.tab are current names of places, even if they link to the data
// of another place, so they stay. `#= NAME` is the meaning of a link whose target is simplified.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Links that the database no longer has. */
const dropped = { 'US/Pacific-New': 'America/Los_Angeles', 'Canada/East-Saskatchewan': 'America/Regina' }
/** Names of no place, in common use. */
const kept = ['UTC', 'GMT']

/** The generated file for the texts of `backward` and `zone.tab`, formatted as the formatter does. */
export function renderLegacyZones(backward: string, zoneTab: string): string {
  const current = new Set(kept.concat(zoneTab.split('\n').flatMap((line) => line.split('\t')[2]?.trim() ?? [])))
  const links = new Map<string, string>(Object.entries(dropped))
  for (const line of backward.split('\n')) {
    const [, target, name, meant] = /^Link\s+(\S+)\s+(\S+)(?:\s+#=\s+(\S+))?/.exec(line) ?? []
    if (target !== undefined && name !== undefined && !current.has(name)) links.set(name, meant ?? target)
  }
  const resolve = (name: string): string => {
    const target = links.get(name)
    return target === undefined ? name : resolve(target)
  }
  const rows = [...links.keys()].sort().map((name) => `  ${keyOf(name)}: '${resolve(name)}',\n`)
  const head = '// Written by scripts/write-legacy-zones.ts from the tz database, which is in the public domain.\n\n'
  return `${head}/** The current name for each old one. */\nexport const legacyZoneNames: Record<string, string> = {\n${rows.join('')}}\n`
}

const keyOf = (name: string) => (/^\w+$/.test(name) ? name : `'${name}'`)

if (import.meta.main) {
  const directory = process.argv[2]
  if (directory === undefined)
    throw new Error('usage: node scripts/write-legacy-zones.ts <directory of the tz database>')
  const [backward, zoneTab] = ['backward', 'zone.tab'].map((file) => readFileSync(join(directory, file), 'utf8'))
  const page = renderLegacyZones(backward as string, zoneTab as string)
  writeFileSync(new URL('../src/schedule/legacy-zone-names.ts', import.meta.url), page)
}
