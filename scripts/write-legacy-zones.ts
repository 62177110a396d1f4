// Writes src/core/legacy-zone-names.ts from the sources of the tz database, be it a checkout of https://github.com/eggert/tz or an unpacked
// https://data.iana.org/time-zones/tzdb-latest.tar.lz:
//   node scripts/write-legacy-zones.ts <directory>
// `backward` has a link for each old name. Names that zone.tab lists are what a place is called today, although their data may be another
// place's, and stay. `#= NAME` is what a link means where the data has to say something simpler.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Links that were in the database once, and are not any more. */
const dropped = { 'US/Pacific-New': 'America/Los_Angeles', 'Canada/East-Saskatchewan': 'America/Regina' }
/** Of no place, and in everybody's use. */
const kept = ['UTC', 'GMT']

/** The page for `backward` and `zone.tab`, as texts, in the spelling of the formatter. */
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
  return `${head}/** The name of today for each old one. */\nexport const legacyZoneNames: Record<string, string> = {\n${rows.join('')}}\n`
}

const keyOf = (name: string) => (/^\w+$/.test(name) ? name : `'${name}'`)

if (import.meta.main) {
  const directory = process.argv[2]
  if (directory === undefined)
    throw new Error('usage: node scripts/write-legacy-zones.ts <directory of the tz database>')
  const [backward, zoneTab] = ['backward', 'zone.tab'].map((file) => readFileSync(join(directory, file), 'utf8'))
  const page = renderLegacyZones(backward as string, zoneTab as string)
  writeFileSync(new URL('../src/core/legacy-zone-names.ts', import.meta.url), page)
}
