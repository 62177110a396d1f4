// The same service for the command line: `flatline serve | migrate | config`.

import pg from 'pg'
import { ConfigError, loadConfig, resolveConfig } from './config.ts'
import { renderConfig, reportConfig } from './config-report.ts'
import { MigrationError, migrate, readMigrations } from './database/migrate.ts'
import { serve } from './server.ts'

const usage = `usage: flatline <command>

  serve     run the service (the default)
  migrate   apply pending migrations to DATABASE_URL and exit
  config    print the effective configuration without secrets, and where each value comes from; --json for programs
`

const commands: Record<string, () => Promise<void>> = {
  serve,
  migrate: migrateOnly,
  config: printConfig,
}

async function migrateOnly(): Promise<void> {
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

async function printConfig(): Promise<void> {
  const reported = reportConfig(resolveConfig())
  const asJson = process.argv.includes('--json')
  process.stdout.write(asJson ? `${JSON.stringify(reported, null, 2)}\n` : renderConfig(reported))
}

const [name = 'serve'] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  const wanted = ['help', '--help', '-h'].includes(name)
  console[wanted ? 'log' : 'error'](wanted ? usage : `unknown command ${name}\n\n${usage}`)
  process.exitCode = wanted ? 0 : 1
} else {
  await command().catch((error: Error) => {
    const expected = error instanceof ConfigError || error instanceof MigrationError
    console.error(expected ? error.message : `flatline ${name}: ${error.message}`)
    process.exitCode = 1
  })
}
