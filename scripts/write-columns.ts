// Writes src/core/columns.ts from prisma/schema.prisma:
//   node scripts/write-columns.ts
import { readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const target = 'src/core/columns.ts'

/** The tables that a batch of heartbeats writes, and the quarantine. */
const tables = [
  ...['heartbeats', 'heartbeat_bodies', 'heartbeat_keys', 'checks', 'flips', 'audit'],
  ...['provisioned_checks', 'check_channels', 'quarantined_heartbeats'],
]

const types: Record<string, string> = {
  Int: 'int4',
  BigInt: 'int8',
  DateTime: 'instant',
  Bytes: 'bytes',
  Json: 'json',
  Boolean: 'boolean',
  String: 'text',
}

/** The generated file, by its path in the repository. */
export function renderColumns(schema = readFileSync(new URL('prisma/schema.prisma', root), 'utf8')) {
  const models = [...schema.matchAll(/^model \w+ \{\n([\s\S]*?)^\}/gm)].map(([, body = '']) => body)
  const blocks = tables.map((table) => {
    const body = models.find((each) => each.includes(`@@map("${table}")`))
    if (body === undefined) throw new Error(`no model is mapped to ${table}`)
    return `  ${table}: {\n${body.split('\n').flatMap(columnLine).join('\n')}\n  },`
  })
  const head = [
    '// The columns that a batch of heartbeats writes, and what they can hold. Written by scripts/write-columns.ts from',
    '// prisma/schema.prisma; test/core/storable.test.ts compares it with the database.',
    '',
    '/** `max` counts characters (code points), as PostgreSQL does. Null is no limit. */',
    'export type Column = { type: ColumnType; max: number | null; isNullable: boolean }',
    '',
    "type ColumnType = 'uuid' | 'text' | 'int4' | 'int8' | 'instant' | 'bytes' | 'json' | 'boolean'",
    '',
    'const column = (type: ColumnType, isNullable: boolean, max: number | null = null): Column => ({ type, max, isNullable })',
    '',
    'export const columns = {',
  ]
  return { [target]: `${[...head, ...blocks, '}'].join('\n')}\n` }
}

/** No line for a relation, which is not a column. */
function columnLine(line: string): string[] {
  const [, field, kind, nullable] = /^ {2}(\w+) +(\w+)(\?)?(?: |$)/.exec(line) ?? []
  const type = types[kind ?? '']
  if (field === undefined || type === undefined) return []
  const name = /@map\("(\w+)"\)/.exec(line)?.[1] ?? field
  const max = /@db\.VarChar\((\d+)\)/.exec(line)?.[1]
  const given = line.includes('@db.Uuid') ? 'uuid' : type
  return [`    ${name}: column('${given}', ${nullable === '?'}${max === undefined ? '' : `, ${max}`}),`]
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(renderColumns())) writeFileSync(new URL(path, root), text)
}
