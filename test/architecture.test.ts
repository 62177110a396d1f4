// Checks the rules of ARCHITECTURE.md: the name of a file gives its layer, its folder gives its module. The sources
// are searched as text, not parsed, because the formatter writes each statement in one way.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { test } from 'node:test'

/** `imports` are those of run time; `references` are those of types as well. */
type Source = { path: string; text: string; lines: string[]; imports: string[]; references: string[] }

const root = join(import.meta.dirname, '..')
const sources = globSync('src/**/*.ts', { cwd: root })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => !path.startsWith('src/database/generated/'))
  .sort()
  .map(readSource)

/** What is used everywhere and belongs to no module. Configuration comes before everything but `core/`. */
const shared = /^src\/(config|logging|kit)\//

/** The first that fits; channels/transports/*, ingest/record.ts and every other sibling of a service are layer 2. */
const layers: [pattern: RegExp, layer: number][] = [
  [/^src\/(core|schedule)\//, 0],
  [shared, 0],
  [/^src\/((server|cli)\.ts$|cli\/)/, 6],
  [/^src\/app\.ts$/, 5],
  [/\/plugin\.ts$/, 4],
  [/^src\/http\//, 3],
  [/\/(\w[\w-]*-)?(routes|schema|authenticators?)\.ts$/, 3],
  [/\/(authenticators|dialects)\//, 3],
  [/^src\/database\//, 1],
  [/\/(\w[\w-]*-)?(store|columns|fields|field-types)\.ts$/, 1],
  [/^src\/[\w-]+\//, 2],
]

/** Their answers depend on their arguments alone. */
const isPure = /^src\/(core|schedule)\//

/** Which modules each module uses, also for types. A new dependency is a decision, and is added here. */
const dependencies: Record<string, string[]> = {
  kit: [],
  mail: [],
  outbound: [],
  redis: [],
  config: ['kit'],
  schedule: ['kit'],
  core: ['kit', 'schedule'],
  spool: ['kit'],
  'database/embedded': ['config'],
  logging: ['config', 'kit'],
  telemetry: ['config', 'kit', 'outbound'],
  database: ['config', 'core', 'database/embedded', 'kit', 'logging'],
  http: ['core', 'kit'],
  lifecycle: ['core', 'kit'],
  audit: ['config', 'core', 'database', 'http', 'kit'],
  'blind-time': ['core', 'database'],
  'database/backup': ['database'],
  'object-storage': ['kit'],
  'wal-archive': ['config', 'database', 'database/backup', 'database/embedded', 'kit', 'object-storage'],
  health: ['config', 'core', 'database', 'http', 'kit', 'lifecycle'],
  'health-metrics': ['config', 'core', 'database', 'http', 'kit'],
  metrics: ['config', 'http'],
  openapi: ['config', 'core', 'http'],
  accounts: ['audit', 'config', 'core', 'database', 'http', 'kit'],
  admin: ['audit', 'config', 'core', 'http', 'logging'],
  'circuit-breakers': ['audit', 'config', 'core', 'http', 'kit', 'logging'],
  quotas: ['audit', 'config', 'core', 'database', 'http', 'kit'],
  replicas: ['blind-time', 'core', 'http', 'kit'],
  'service-alerts': ['config', 'database', 'health', 'http', 'kit'],
  checks: ['accounts', 'audit', 'blind-time', 'core', 'database', 'http', 'kit', 'quotas', 'schedule'],
  messages: ['checks', 'core', 'http', 'kit', 'schedule'],
  channels: [
    'audit',
    'checks',
    'circuit-breakers',
    'config',
    'core',
    'database',
    'http',
    'kit',
    'messages',
    'outbound',
    'quotas',
    'schedule',
  ],
  notifications: [
    'audit',
    'channels',
    'checks',
    'circuit-breakers',
    'config',
    'core',
    'database',
    'http',
    'kit',
    'logging',
    'mail',
    'messages',
    'schedule',
  ],
  badges: ['accounts', 'checks', 'core', 'database', 'http', 'kit'],
  detector: ['checks', 'config', 'core', 'database', 'kit', 'logging'],
  ingest: [
    'accounts',
    'audit',
    'checks',
    'config',
    'core',
    'database',
    'http',
    'kit',
    'logging',
    'mail',
    'quotas',
    'spool',
  ],
  'project-metrics': ['checks', 'http'],
  provisioning: [
    'accounts',
    'audit',
    'channels',
    'checks',
    'config',
    'core',
    'database',
    'http',
    'kit',
    'notifications',
  ],
  retention: [
    'audit',
    'blind-time',
    'checks',
    'config',
    'database',
    'health-metrics',
    'ingest',
    'kit',
    'notifications',
  ],
  cli: [
    'audit',
    'channels',
    'checks',
    'config',
    'database',
    'database/backup',
    'database/embedded',
    'kit',
    'notifications',
    'provisioning',
    'quotas',
    'wal-archive',
  ],
}

/**
 * The owner of each table. `writers` and `readers` are other modules that name the table in their SQL:
 * - One statement reads all that a decision needs: which delivery is due depends on its check, flip and project.
 * - `ingest` moves the deadline of a check in the statement that writes the heartbeat, and counts the bytes of its bodies.
 * - `notifications` marks a flip in the transaction that makes its deliveries.
 * - `accounts` retires the addresses of the checks of a project, in the transaction that deletes them.
 * - `quotas` owns one column of the project, and counts what it limits. The modules that add something use it, so it cannot
 *   use them.
 * - `database/backup` asks whether a database is in use, also in the text of a backup, which psql runs.
 * - Everything else uses a function of the owner. If a lower module needs a function of a higher one, app.ts passes it.
 */
const tables: Record<string, { owner: string; writers?: string[]; readers?: string[] }> = {
  acceptance: { owner: 'blind-time' },
  acknowledgements: { owner: 'notifications' },
  audit: { owner: 'audit', readers: ['database/backup'] },
  blind_windows: { owner: 'blind-time' },
  body_usage: { owner: 'ingest', readers: ['quotas'] },
  channels: { owner: 'channels', readers: ['checks', 'notifications', 'quotas'] },
  check_channels: { owner: 'checks', readers: ['channels', 'notifications'] },
  checks: {
    owner: 'checks',
    writers: ['ingest'],
    readers: ['accounts', 'ingest', 'notifications', 'quotas'],
  },
  deliveries: {
    owner: 'notifications',
    readers: ['channels'],
  },
  flips: {
    owner: 'checks',
    writers: ['notifications'],
    readers: ['notifications'],
  },
  health_metrics: { owner: 'health-metrics' },
  heartbeat_bodies: { owner: 'ingest', readers: ['notifications'] },
  heartbeat_keys: { owner: 'ingest' },
  heartbeats: { owner: 'ingest', readers: ['notifications'] },
  mail_allowances: { owner: 'channels' },
  mail_recipients: { owner: 'channels' },
  maintenance_windows: { owner: 'notifications' },
  project_keys: { owner: 'accounts' },
  projects: {
    owner: 'accounts',
    writers: ['quotas'],
    readers: ['channels', 'database/backup', 'notifications', 'quotas'],
  },
  provisioned_checks: { owner: 'checks' },
  provisioning_counts: { owner: 'quotas' },
  provisioning_namespace: { owner: 'checks' },
  quarantined_heartbeats: { owner: 'ingest' },
  replicas: { owner: 'blind-time' },
  retired_addresses: { owner: 'accounts' },
  schema_compatibility: { owner: 'database' },
  service_alerts: { owner: 'service-alerts' },
}

/** The last hands a fixed list of the system's variables down to PostgreSQL's own processes. */
const environmentReaders = [
  'src/config/load.ts',
  'src/config/listen-address.ts',
  'src/config/references.ts',
  'src/database/embedded/cluster.ts',
]

/** What runs before the first request, as the last of all, in a thread or process of its own, or on memory alone. */
const synchronous = [
  'src/cli/',
  ...[
    'src/config/load.ts',
    'src/config/files.ts',
    'src/config/listen-address.ts',
    'src/server.ts',
    'src/logging/logger.ts',
    'src/logging/file.ts',
    'src/database/',
    'src/health/limits.ts',
  ],
  ...['src/channels/secrets/encryption.ts', 'src/audit/shutdown.ts', 'src/cli/', 'src/ingest/heartbeat-id.ts'],
]

/** A list of metrics, which gets no clearer in pieces. */
const longLists = ['src/metrics/domain.ts']

const linesPerFile = 300
const linesPerFunction = 60
const filesPerFolder = 14

test('every file has a layer', () => {
  assert.deepEqual(
    sources.filter(({ path }) => layerOf(path) === undefined).map(({ path }) => path),
    [],
  )
})

test('a file imports only its own layer or lower', () => {
  assert.deepEqual(
    edges().filter(({ from, to }) => (layerOf(to) ?? 0) > (layerOf(from) ?? 0)),
    [],
  )
})

test('a module uses only the modules that it declares', () => {
  const used = new Map<string, Set<string>>()
  for (const { from, to } of edges(({ references }) => references)) {
    const [own, other] = [moduleOf(from), moduleOf(to)]
    if (own === null || other === null || own === other) continue
    used.set(own, (used.get(own) ?? new Set()).add(other))
  }
  const modules = [...new Set(sources.flatMap(({ path }) => moduleOf(path) ?? []))]
  assert.deepEqual(
    Object.fromEntries(modules.map((module) => [module, [...(used.get(module) ?? [])].sort()])),
    dependencies,
  )
})

test('the modules have no cycle of imports', () => {
  const cycles = Object.keys(dependencies).flatMap((module) => (reachable(module).has(module) ? [module] : []))
  assert.deepEqual(cycles, [])
})

test('core and schedule import nothing but each other and kit', () => {
  const outside = sources
    .filter(({ path }) => isPure.test(path))
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => !/^(\.\/|(\.\.\/)+((core|schedule|kit)\/)?)([\w-]+\/)?[\w-]+\.ts$/.test(name))
        .map((name) => [path, name]),
    )
  assert.deepEqual(outside, [])
})

test('core and schedule have no clock, no randomness, no process and no await', () => {
  const impure =
    /\b(Date\.now|new Date\(\)|Math\.random|randomUUID|performance|process|setTimeout|setInterval|fetch|await|async)\b/
  assert.deepEqual(
    places(({ path }) => isPure.test(path), impure),
    [],
  )
})

test('only config/ reads the environment', () => {
  assert.deepEqual(
    places(({ path }) => !environmentReaders.includes(path), /\bprocess\.env\b/),
    [],
  )
})

test('nothing waits synchronously for a file or a process while requests are served', () => {
  const serving = ({ path }: Source) => !synchronous.some((start) => path.startsWith(start))
  assert.deepEqual(places(serving, /\b\w+Sync\b/), [])
})

test('only stores and database/ know SQL and the generated client', () => {
  const outside = ({ path }: Source) => layerOf(path) !== 1 && !path.startsWith('src/database/')
  const statements =
    /\b(SELECT\s.*\bFROM\b|INSERT INTO\b|UPDATE\s+\w+(\s+\w+)?\s+SET\b|DELETE FROM\b|(CREATE|ALTER|DROP) TABLE\b|ON CONFLICT\b)/
  assert.deepEqual(places(outside, statements), [])
  const users = sources
    .filter(outside)
    .filter(({ imports }) => imports.some((name) => /generated|^@prisma\//.test(name)))
  assert.deepEqual(
    users.map(({ path }) => path),
    [],
  )
})

test('every table has one owner, and another module names it in SQL only if that is declared', () => {
  const schema = readFileSync(join(root, 'prisma/schema.prisma'), 'utf8')
  const all = [...schema.matchAll(/@@map\("(\w+)"\)/g)].map(([, name]) => String(name))
  assert.deepEqual(Object.keys(tables), all.sort())
  assert.deepEqual(
    places(() => true, /\b(INSERT INTO|UPDATE|DELETE FROM)\s+\$\{/),
    [],
    'a table is named in full',
  )
  const foreign = (sql: RegExp) =>
    Object.fromEntries(
      all.map((table) => [table, modulesWith(sql, table).filter((module) => module !== tables[table]?.owner)]),
    )
  const declared = (modules: 'writers' | 'readers') =>
    Object.fromEntries(Object.entries(tables).map(([table, one]) => [table, one[modules] ?? []]))
  assert.deepEqual(foreign(/\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)/g), declared('writers'))
  assert.deepEqual(foreign(/(?<!\bDELETE )\b(?:FROM|JOIN)\s+(\w+)/g), declared('readers'))
})

test('a type name is declared once', () => {
  const declared = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^(?:export )?(?:type|interface|(?:abstract )?class) (\w+)/gm)].map(([, name]) => ({
      name,
      path,
    })),
  )
  assert.ok(declared.length > 300, String(declared.length))
  const twice = [...Map.groupBy(declared, ({ name }) => name)].filter(([, places]) => places.length > 1)
  assert.deepEqual(
    twice.map(([name, places]) => [name, places.map(({ path }) => path)]),
    [],
  )
})

test('only layers 3 to 6 use Fastify', () => {
  const below = sources.filter(({ path }) => (layerOf(path) ?? 0) < 3)
  const users = below.filter(({ imports }) => imports.some((name) => /^(@fastify\/|fastify)/.test(name)))
  assert.deepEqual(
    users.map(({ path }) => path),
    [],
  )
})

test('every import names the exact file, with its .ts', () => {
  const relative = sources.flatMap(({ path, imports }) =>
    imports.filter((name) => name.startsWith('.') && !name.endsWith('.ts')).map((name) => [path, name]),
  )
  assert.deepEqual(relative, [])
})

test(`no folder has more than ${filesPerFolder} files of its own`, () => {
  const sizes = new Map<string, number>()
  for (const path of globSync('{src,test}/**/*.ts', { cwd: root })) {
    const folder = posix.dirname(path.replaceAll('\\', '/'))
    if (!folder.startsWith('src/database/generated')) sizes.set(folder, (sizes.get(folder) ?? 0) + 1)
  }
  assert.deepEqual(
    [...sizes].filter(([, files]) => files > filesPerFolder),
    [],
  )
})

test(`no file has more than ${linesPerFile} lines`, () => {
  const long = sources.filter(({ lines }) => lines.length > linesPerFile)
  assert.deepEqual(
    long.map(({ path, lines }) => `${path}: ${lines.length}`),
    [],
  )
})

test(`no function has ${linesPerFunction} lines or more of its own`, () => {
  const checked = sources.filter(({ path }) => !longLists.includes(path))
  const long = checked.flatMap(({ path, lines }) =>
    functionsOf(lines)
      .filter(({ length }) => length >= linesPerFunction)
      .map(({ first, length }) => `${path}:${first + 1}: ${length}`),
  )
  assert.deepEqual(long, [])
})

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const typeImports = [...text.matchAll(/^(?:import|export)\stype\s[^'";]*\sfrom\s'([^']+)'/gm)].map(([, name]) =>
    String(name),
  )
  const imports = runtimeImports(text)
  return { path, text, lines: text.trimEnd().split('\n'), imports, references: [...imports, ...typeImports] }
}

/** What is still imported once types are gone. */
function runtimeImports(text: string): string[] {
  const statement = /^(?:import|export)\s(?!type\s)(?:[^'";]*\sfrom\s)?'([^']+)'|\bawait import\('([^']+)'\)/gm
  return [...text.matchAll(statement)].map(([, fixed, dynamic]) => (fixed ?? dynamic) as string)
}

function layerOf(path: string): number | undefined {
  return layers.find(([pattern]) => pattern.test(path))?.[1]
}

/** Null for the process and the assembly, which use everything. The embedded server and the backups are modules within a module. */
function moduleOf(path: string): string | null {
  return /^src\/(database\/(?:embedded|backup)|[\w-]+)\//.exec(path)?.[1] ?? null
}

/** The modules whose SQL has this table where the pattern captures one; a statement may have several lines. */
function modulesWith(sql: RegExp, table: string): string[] {
  const found = sources.filter(({ text }) => [...text.matchAll(sql)].some(([, name]) => name === table))
  return [...new Set(found.flatMap(({ path }) => moduleOf(path) ?? []))].sort()
}

/** The modules that a module uses, directly or indirectly. */
function reachable(module: string): Set<string> {
  const found = new Set<string>()
  const waiting = [...(dependencies[module] ?? [])]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue
    found.add(next)
    waiting.push(...(dependencies[next] ?? []))
  }
  return found
}

/** Imports between our own files: those of run time, or all. */
function edges(of: (source: Source) => string[] = ({ imports }) => imports): { from: string; to: string }[] {
  return sources.flatMap((source) =>
    of(source)
      .filter((name) => name.startsWith('.'))
      .map((name) => ({ from: source.path, to: posix.join(dirname(source.path), name) }))
      .filter(({ to }) => !to.startsWith('src/database/generated/')),
  )
}

/** Where a pattern occurs outside of comments, as `path:line: text`. */
function places(where: (source: Source) => boolean, pattern: RegExp): string[] {
  return sources.filter(where).flatMap(({ path, lines }) =>
    lines.flatMap((line, index) => {
      const isComment = /^\s*(\/\/|\/?\*)/.test(line)
      return !isComment && pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []
    }),
  )
}

/**
 * The formatter ends a block at the indentation at which it began. A function's own lines are without those of the functions
 * inside it: a factory is a frame around the functions it returns.
 */
function functionsOf(lines: readonly string[]): { first: number; length: number }[] {
  const opening = /(=>|\bfunction\b.*|^\s*(static |async |get |set )*[\w#]+\(.*\)(: .*)?|^\s*\)(: .*)?)\s*\{$/
  const control = /^\s*(\} )?(if|for|while|switch|catch|else|try|do)\b/
  const found = lines.flatMap((line, first) => {
    if (!opening.test(line) || control.test(line)) return []
    const indent = line.length - line.trimStart().length
    const end = lines.findIndex((other, index) => index > first && new RegExp(`^ {${indent}}\\}`).test(other))
    return end === -1 ? [] : [{ first, last: end }]
  })
  return found.map(({ first, last }) => {
    const inner = found.filter((other) => other.first > first && other.last < last)
    const outermost = inner.filter((one) => !inner.some((other) => other.first < one.first && one.last < other.last))
    return { first, length: last - first + 1 - outermost.reduce((sum, one) => sum + one.last - one.first + 1, 0) }
  })
}
