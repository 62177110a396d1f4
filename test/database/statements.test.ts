// Every statement of the service is prepared on the real schema, so that a wrong table, column or type is found here
// and not when the statement first runs. The columns that PostgreSQL reports are compared with those that the
// TypeScript declares.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { statement, statements } from '../../src/database/sql.ts'
import { createDatabase } from '../postgres.ts'

const root = join(import.meta.dirname, '../..')

const sources = globSync('src/**/*.ts', { cwd: root })
  .filter((file) => !file.startsWith('src/database/generated/'))
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))

// Importing a file registers its statements.
for (const { file, text } of sources) if (/\bstatement\(/.test(text)) await import(join(root, file))

/** Each column with its type; without the `?` of columns that can be null. */
const declared = (columns: Record<string, string>) =>
  Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, type.replace('?', '')]))

test('PostgreSQL prepares every statement', async (t) => {
  const describe = await describer(t)
  const refused: string[] = []
  for (const [name, { text }] of statements)
    await describe(text).catch((error: Error) => refused.push(`${name}: ${error.message}`))
  assert.deepEqual(refused, [])
  assert.ok(statements.size > 150, `only ${statements.size} statements are registered`)
})

test('a statement returns the columns that it declares, and none if it declares none', async (t) => {
  const describe = await describer(t)
  const undeclared: string[] = []
  for (const [name, { text, columns }] of statements) {
    const found = await describe(text)
    if (columns === null && Object.keys(found).length > 0) undeclared.push(name)
    else assert.deepEqual(found, declared(columns ?? {}), name)
  }
  assert.deepEqual(undeclared, [])
})

test('the check finds a statement that PostgreSQL cannot prepare, and a wrong column', async (t) => {
  const describe = await describer(t)
  await assert.rejects(describe('SELECT nothing FROM checks'), /column "nothing" does not exist/)
  assert.deepEqual(await describe('SELECT id, n AS count FROM checks WHERE id = $1'), { id: 'uuid', count: 'int8' })
  assert.deepEqual(await describe('DELETE FROM checks WHERE id = $1'), {})
})

test('only statements that name a partition are used without being registered', () => {
  const made = sources
    .flatMap(({ file, text }) =>
      [...text.matchAll(/\{\s*name: (['`].+),\s+text: /g)].map(([, name]) => `${file}: ${name}`),
    )
    .filter((one) => !/_\$\{name\}`$/.test(one))
  assert.deepEqual(made, [])
})

test('two statements cannot have one name', () => {
  assert.throws(() => statement('health_ping', 'SELECT 2'), /two statements are named health_ping/)
})

type Columns = Record<string, string>

/** Prepares statements on a migrated database and returns the columns of each; none for functions that return `void`. */
async function describer(t: Parameters<typeof createDatabase>[0]): Promise<(text: string) => Promise<Columns>> {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  // The database goes away under it when the test ends.
  client.on('error', () => undefined)
  const { rows } = await client.query<{ oid: number; name: string }>(
    "SELECT oid::int, regexp_replace(typname, '^_(.*)', '\\1[]') AS name FROM pg_type",
  )
  // JavaScript makes no difference between the types of text.
  const types = new Map(rows.map(({ oid, name }) => [oid, name.replace(/^(varchar|name)$/, 'text')]))
  return async (text) => {
    const fields = await described(client, text)
    const columns = fields.map(({ name, dataTypeID }) => [name, types.get(dataTypeID) ?? String(dataTypeID)])
    return Object.fromEntries(columns.filter(([, type]) => type !== 'void'))
  }
}

/** Parse and Describe of the wire protocol, which pg offers to nobody but its own queries. */
function described(client: pg.Client, text: string): Promise<pg.FieldDef[]> {
  return new Promise((resolve, reject) => {
    let found: pg.FieldDef[] = []
    const query = {
      submit(connection: pg.Connection) {
        connection.parse({ name: '', text, types: [] }, true)
        connection.describe({ type: 'S', name: '' }, true)
        connection.sync()
      },
      handleRowDescription: ({ fields }: { fields: pg.FieldDef[] }) => {
        found = fields
      },
      handleError: reject,
      handleReadyForQuery: () => resolve(found),
    }
    client.query(query)
  })
}
