// `flatline provision --dry-run`: what a start would change. It applies what is declared in a transaction that is rolled
// back, also while the service runs.

import { parseArgs } from 'node:util'
import { loadConfig } from '../../config/load.ts'
import { openToRead, sessionOf } from '../../database/offline.ts'
import { readDeclared } from '../../provisioning/plugin.ts'
import type { ProvisionedItem } from '../../provisioning/service.ts'
import { CommandError } from '../errors.ts'
import { interruptible } from '../interruption.ts'
import { quietLog } from '../quiet-log.ts'
import { createDryProvisioning } from './services.ts'

const usage = `usage: flatline provision --dry-run [FILE]

  FILE        the file, if it is not that of PROVISION_FILE
  --dry-run   say what a start would change, and change nothing; only a start of the service changes something
`

/** PostgreSQL's codes for a table and a column that do not exist. */
const unmigrated = ['42P01', '42703']

export async function provision(args: string[]): Promise<void> {
  const file = readArguments(args)
  const config = loadConfig()
  const declared = await readDeclared(config, file ?? config.features.provisionFile)
  if (declared === null) throw new CommandError('nothing is declared: set PROVISION_FILE, or name a file')
  await interruptible(async (signal) => {
    const database = await openToRead({ config, log: quietLog, name: 'flatline provision', signal })
    try {
      const session = sessionOf(database.client)
      const provisioned = await createDryProvisioning(config, session).apply(declared, { dryRun: true, signal })
      if (provisioned !== null) report(provisioned.items)
    } catch (error) {
      if (!unmigrated.includes((error as { code?: string }).code ?? '')) throw error
      throw new CommandError('the database is empty, or of an older version: the start of this version migrates it')
    } finally {
      await database.close()
    }
  })
}

function readArguments(args: string[]): string | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { 'dry-run': { type: 'boolean' } },
      allowPositionals: true,
    })
    if (values['dry-run'] && positionals.length <= 1) return positionals[0]
  } catch (error) {
    throw new CommandError(`${(error as Error).message}\n\n${usage}`)
  }
  throw new CommandError(usage)
}

/** One line for each difference, and the counts. */
function report(items: readonly ProvisionedItem[]): void {
  for (const item of items) if (item.action !== 'unchanged') process.stdout.write(`${lineOf(item)}\n`)
  const counts = (['created', 'updated', 'unchanged', 'extra'] as const).map(
    (action) => `${items.filter((item) => item.action === action).length} ${action}`,
  )
  process.stdout.write(`${counts.join(', ')} (dry run: nothing was changed)\n`)
}

function lineOf({ action, kind, project, name, fields, drift }: ProvisionedItem): string {
  const what = kind === 'project' || kind === 'keys' ? name : `${project}: ${name}`
  const changed = fields.length > 0 ? `: ${fields.join(', ')}` : ''
  const since = drift === null ? '' : ` (drift: last changed by ${drift.by} at ${drift.at})`
  return `${action.padEnd(9)} ${kind.padEnd(11)} ${what}${changed}${since}`
}
