import fp from 'fastify-plugin'
import { bootstrapKeys } from '../accounts/plugin.ts'
import type { Config } from '../config/load.ts'
import type { DeclaredProject } from './declared.ts'
import type { Provisioned, ProvisionedItem } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Ids of the channels that variables of the environment declare; empty until the start has made them. */
    shortcutChannels: () => readonly string[]
  }
}

/** Each is a line of the log; a new file may have ten thousand. */
const loggedMax = 100

/**
 * What PROVISION_FILE and the variables of the environment declare; null if there is nothing. Throws ProvisionError.
 * Nothing of this module is loaded before it is needed.
 */
export async function readDeclared(config: Config, file = config.features.provisionFile) {
  const { slackWebhookUrl, pagerdutyKey } = config.features
  if (file === undefined && slackWebhookUrl === undefined && pagerdutyKey === undefined) return null
  const [{ readProvisionFile }, { readProjects }, { withShortcuts }, { transports }, { smtpOf }] = await Promise.all([
    import('./file.ts'),
    import('./schema.ts'),
    import('./declared.ts'),
    import('../channels/transports.ts'),
    import('../channels/wire/smtp.ts'),
  ])
  const capabilities = { smtp: smtpOf(config.alerting), shell: config.alerting.allowShellChannels }
  const projects =
    file === undefined
      ? []
      : readProjects(readProvisionFile(file), { transports, capabilities, bootstrap: bootstrapKeys(config.security) })
  return withShortcuts(projects, config.features)
}

/** Applies `declared` at the start, before any request is served. */
export const provisioningPlugin = fp<{ declared: readonly DeclaredProject[] | null }>(
  async (app, { declared }) => {
    let shortcuts: readonly string[] = []
    app.decorate('shortcutChannels', () => shortcuts)
    if (declared === null) return
    const { createProvisioning } = await import('./service.ts')
    const { checks, channels, notifications } = app
    const provisioning = createProvisioning({
      database: app.database,
      writeAudit: app.audit.write,
      parts: (tx, defaultChannels) => {
        const ofChecks = checks.definitionsWithin(tx, defaultChannels)
        return {
          channels: channels.definitionsWithin(tx),
          checks: ofChecks,
          maintenance: notifications.maintenanceDefinitionsWithin(tx, ofChecks.named),
        }
      },
    })
    app.lifecycle.onStart('provisioning', async (signal) => {
      const provisioned = await provisioning.apply(declared, { signal })
      if (provisioned === null) return
      shortcuts = provisioned.shortcuts
      checks.setDefaultChannels(provisioned.defaultChannels)
      report(app.log, provisioned)
    })
  },
  {
    name: 'provisioning',
    dependencies: ['database', 'lifecycle', 'audit', 'auth', 'checks', 'channels', 'notifications'],
  },
)

type ProvisioningLog = Record<'info' | 'warn', (o: object, message: string) => void>

function report(log: ProvisioningLog, { items }: Provisioned): void {
  const about = ({ project, kind, name, id, action, fields }: ProvisionedItem) => ({
    ...{ project, kind, name, id, action },
    ...(fields.length > 0 && { fields }),
  })
  const drifted = items.filter(({ drift }) => drift !== null)
  const changed = items.filter(({ action, drift }) => (action === 'created' || action === 'updated') && drift === null)
  const extra = items.filter(({ action }) => action === 'extra')
  for (const item of drifted.slice(0, loggedMax))
    log.warn(
      { event: 'provision.drift', ...about(item), changedBy: item.drift?.by, changedAt: item.drift?.at },
      'it was changed since the file was applied; it is again as declared',
    )
  for (const item of changed.slice(0, loggedMax)) log.info({ event: 'provision.change', ...about(item) }, 'provisioned')
  for (const item of extra.slice(0, loggedMax))
    log.info({ event: 'provision.extra', ...about(item) }, 'it is not in the provisioning file; it stays as it is')
  const counts = Object.fromEntries(
    (['created', 'updated', 'unchanged', 'extra'] as const).map((action) => [
      action,
      items.filter((item) => item.action === action).length,
    ]),
  )
  log.info({ event: 'provision.applied', ...counts, drifted: drifted.length }, 'what is declared has been applied')
}
