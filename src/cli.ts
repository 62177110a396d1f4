// The command line. Each command loads only what it needs: a health check every few seconds must not cost as much as a
// start.

const usage = async () => `usage: flatline <command>

  serve        run the service (the default)
  migrate      apply pending migrations to DATABASE_URL and exit
  config       print the effective configuration without secrets, and where each value comes from; --json for programs
  backup       write everything to a new FILE, or one in that directory (- for standard output, s3: for the bucket), also while
               the service runs
  restore      read FILE (- for standard input, s3:NAME or s3:latest from the bucket) into an empty database; --replace deletes what there is, --verify only checks FILE
  archive      base backups and the write-ahead log in S3-compatible storage: base, push, fetch, list, recover
  healthcheck  ask the service on this machine whether it is ready; exit status 0 if it is, 1 if not
${(await import('./cli/definitions.ts')).definitionsUsage}
  provision    with --dry-run: what a start would change because of PROVISION_FILE, or of another FILE

of a running service, each with --help:
${(await import('./cli/resources/command.ts')).resourcesUsage}
  verify       write a heartbeat, read it back, check the metrics, send one alert through, and clean up
  load         load test within limits, with checks of its own; reports latencies and whether everything accepted is found
`

const resource = (name: string) => async (args: string[]) => {
  process.exitCode = await (await import('./cli/resources/command.ts')).runResource(name, args)
}

const commands: Record<string, (args: string[]) => Promise<void>> = {
  serve: async () => (await import('./server.ts')).serve(),
  migrate: async () => (await import('./cli/migrate.ts')).migrateOnly(),
  config: async (args) => (await import('./cli/config.ts')).printConfig(args),
  backup: async (args) => (await import('./cli/backup.ts')).backup(args),
  restore: async (args) => (await import('./cli/restore.ts')).restore(args),
  archive: async (args) => (await import('./cli/archive.ts')).archive(args),
  healthcheck,
  export: async (args) => (await import('./cli/definitions.ts')).exportDefinitions(args),
  import: async (args) => (await import('./cli/definitions.ts')).importDefinitions(args),
  apply: async (args) => (await import('./cli/definitions.ts')).applyDefinitions(args),
  provision: async (args) => (await import('./cli/provisioning/dry-run.ts')).provision(args),
  checks: resource('checks'),
  channels: resource('channels'),
  deliveries: resource('deliveries'),
  projects: resource('projects'),
  breakers: resource('breakers'),
  verify: async (args) => (await import('./cli/verify/command.ts')).runVerify(args),
  load: async (args) => (await import('./cli/load/command.ts')).runLoad(args),
}

async function healthcheck(): Promise<void> {
  const { readListenAddress } = await import('./config/listen-address.ts')
  const { askReadiness } = await import('./health/probe.ts')
  const { ready, answer } = await askReadiness(
    readListenAddress() ?? (await import('./config/load.ts')).loadConfig().server,
  )
  console.log(answer)
  if (!ready) process.exitCode = 1
}

/** Errors whose message is sufficient without a stack. */
const expected = ['ConfigError', 'MigrationError', 'CommandError', 'ProvisionError']

const [name = 'serve', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  const wanted = ['help', '--help', '-h'].includes(name)
  console[wanted ? 'log' : 'error'](wanted ? await usage() : `unknown command ${name}\n\n${await usage()}`)
  process.exitCode = wanted ? 0 : 1
} else {
  await command(args).catch((error: Error) => {
    console.error(expected.includes(error.name) ? error.message : `flatline ${name}: ${error.message}`)
    process.exitCode = (error as { exitCode?: number }).exitCode ?? 1
  })
}
