// `flatline migrate`: applies pending migrations, then exits.

import pg from 'pg'
import { ConfigError, loadConfig } from '../config/load.ts'
import { migrate, readMigrations } from '../database/migrate.ts'

export async function migrateOnly(): Promise<void> {
  const { database } = loadConfig()
  if (database.url === undefined)
    throw new ConfigError(['DATABASE_URL is needed: an embedded database is migrated when it starts'])
  const client = new pg.Client({ connectionString: database.url, connectionTimeoutMillis: database.connectTimeoutMs })
  await client.connect()
  try {
    const blocked = (name: string) => console.error(`${name} waits for transactions that use its tables`)
    const applied = await migrate(client, readMigrations(), { blocked })
    console.log(applied.length === 0 ? 'nothing to migrate' : applied.map((name) => `applied ${name}`).join('\n'))
  } finally {
    await client.end()
  }
}
