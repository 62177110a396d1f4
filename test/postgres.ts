// Databases for tests, cloned from the template that test/run.ts migrates.

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { pause } from './patience.ts'

type Scope = Pick<TestContext, 'after'>

/** A fresh database; migrated unless `empty`. Returns its URL. */
export async function createDatabase(t: Scope, options: { empty?: boolean } = {}): Promise<string> {
  const url = process.env.TEST_DATABASE_URL
  if (url === undefined) throw new Error('run tests through test/run.ts: npm test, or node test/run.ts FILE')
  const name = `t_${randomBytes(8).toString('hex')}`
  await asAdmin(url, `CREATE DATABASE ${name} TEMPLATE ${options.empty ? 'template0' : 'template_flatline'}`)
  t.after(() => asAdmin(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  return url.replace(/\/[^/?]+\?/, `/${name}?`)
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    // Cloning fails while another clone of the same template is under way.
    for (let attempt = 1; ; attempt++) {
      try {
        await client.query(statement)
        return
      } catch (error) {
        if ((error as { code?: string }).code !== '55006' || attempt === 100) throw error
        await pause(50)
      }
    }
  } finally {
    await client.end()
  }
}

/** Rows of one statement, on a connection of its own, with instants as Dates and counters as text. */
export async function sql<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end()
  }
}
