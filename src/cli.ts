// The same service for the command line.

import { applyDefinitions, definitionsUsage, exportDefinitions, importDefinitions } from './cli/definitions.ts'
import { CommandError } from './cli/server.ts'
import { ConfigError, loadConfig, resolveConfig } from './config.ts'
import { renderConfig, reportConfig } from './config-report.ts'
import { MigrationError, migrate, readMigrations } from './database/migrate.ts'
import { askReadiness } from './health/probe.ts'

const usage = `usage: flatline <command>

  serve        run the service (the default)
  migrate      apply pending migrations to DATABASE_URL and exit
  config       print the effective configuration without secrets, and where each value comes from; --json for programs
  backup       write everything to a new FILE, or one in that directory (- for standard output), also while the service runs
  restore      read FILE (- for standard input) into an empty database; --replace deletes what there is, --verify only checks FILE
  healthcheck  ask the service on this machine whether it is ready; exit status 0 if it is, 1 if not
${definitionsUsage}
`

const commands: Record<string, (args: string[]) => Promise<void>> = {
  // Each loads what it needs: a health check every few seconds must not cost what a start does.
  serve: async () => (await import('./server.ts')).serve(),
  migrate: migrateOnly,
  config: printConfig,
  backup: async (args) => (await import('./cli/backup.ts')).backup(args),
  restore: async (args) => (await import('./cli/restore.ts')).restore(args),
  healthcheck,
  export: exportDefinitions,
  import: importDefinitions,
  apply: applyDefinitions,
}

async function migrateOnly(): Promise<void> {
  const { database } = loadConfig()
  if (database.url === undefined)
    throw new ConfigError(['DATABASE_URL is needed: an embedded database is migrated when it starts'])
  const { default: pg } = await import('pg')
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

async function healthcheck(): Promise<void> {
  const { ready, answer } = await askReadiness(loadConfig().server)
  console.log(answer)
  if (!ready) process.exitCode = 1
}

const [name = 'serve', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  const wanted = ['help', '--help', '-h'].includes(name)
  console[wanted ? 'log' : 'error'](wanted ? usage : `unknown command ${name}\n\n${usage}`)
  process.exitCode = wanted ? 0 : 1
} else {
  await command(args).catch((error: Error) => {
    const expected = [ConfigError, MigrationError, CommandError].some((kind) => error instanceof kind)
    console.error(expected ? error.message : `flatline ${name}: ${error.message}`)
    process.exitCode = 1
  })
}
