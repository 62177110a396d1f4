// The services that provisioning uses, for a command: on one connection and without the rest of the process. They serve a
// transaction that is rolled back, so what only has effects outside of the database does nothing.

import { randomBytes } from 'node:crypto'
import { writeAudit } from '../../audit/store.ts'
import { createChannels } from '../../channels/channels.ts'
import { createChannelDefinitions } from '../../channels/definitions.ts'
import { createEncryption, existingKeys } from '../../channels/secrets/encryption.ts'
import { transports } from '../../channels/transports.ts'
import { smtpOf } from '../../channels/wire/smtp.ts'
import { createChecks } from '../../checks/service.ts'
import type { Config } from '../../config/load.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { type DatabaseSession, within } from '../../database/service.ts'
import { createMaintenance } from '../../notifications/suppression/maintenance.ts'
import { createMaintenanceDefinitions } from '../../notifications/suppression/maintenance-definitions.ts'
import { createProvisioning } from '../../provisioning/service.ts'
import { createQuotas } from '../../quotas/service.ts'
import { quietLog } from '../quiet-log.ts'

const nothing = async () => {}

/** For dry runs only: a real one needs the record of blind time, and the queue of deliveries. */
export function createDryProvisioning(config: Config, database: DatabaseSession) {
  const quotas = createQuotas({ database, writeAudit, config: config.quotas })
  const checks = createChecks({
    database,
    writeAudit,
    quotas,
    blindTime: { windows: () => [], isCurrent: () => true, record: nothing, evaluatedUntil: (now) => now },
    siteUrl: () => '',
    cancelDeliveries: nothing,
    deleteHistory: [],
    onFlip: () => {},
    log: quietLog,
    // Definitions contain no signing secrets.
    encryption: () => createEncryption([randomBytes(32)]),
  })
  const channels = dryChannels(config, quotas)
  return createProvisioning({
    database,
    writeAudit,
    parts: (tx, defaultChannels) => {
      const inside = within(tx, database)
      const ofChecks = checks.definitionsWithin(tx, defaultChannels)
      return {
        channels: createChannelDefinitions({ channels: channels(inside), transports }),
        checks: ofChecks,
        maintenance: createMaintenanceDefinitions({
          maintenance: createMaintenance({ database: inside, writeAudit, now: database.clock.now }),
          named: ofChecks.named,
        }),
      }
    },
  })
}

/** Without a key no stored settings can be compared: all of them count as changed. */
function dryChannels(config: Config, quotas: { admitChannel: (tx: Queryable, projectId: string) => Promise<void> }) {
  const keys = existingKeys({ encryptionKey: config.security.encryptionKey, dataDir: config.server.dataDir })
  const encryption = createEncryption(keys.length > 0 ? keys : [randomBytes(32)])
  return (database: DatabaseSession) =>
    createChannels({
      database,
      encryption,
      transports,
      capabilities: { smtp: smtpOf(config.alerting), shell: config.alerting.allowShellChannels },
      test: async () => ({ delivered: false, error: null }),
      recipients: { isConfirmed: async () => true, ask: nothing, revoke: nothing },
      links: { isValid: () => false },
      destinations: { forget: () => {} },
      switchOff: async () => false,
      queue: { cancelOfChannel: nothing },
      writeAudit,
      quotas,
      now: database.clock.now,
    })
}
