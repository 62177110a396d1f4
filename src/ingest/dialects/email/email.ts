// Heartbeats by e-mail, as Healthchecks accepts them: the mailbox is the uuid of a check, or a ping key and a slug.

import type { FastifyInstance } from 'fastify'
import type { Config } from '../../../config/load.ts'
import type { Listener, ListenerDialect } from '../dialect.ts'
import { createMailRecipients } from './mail-recipients.ts'

export const email: ListenerDialect = {
  kind: 'listener',
  name: 'Healthchecks by e-mail',
  source: 'https://healthchecks.io/docs/email/',
  open,
}

async function open(app: FastifyInstance, config: Config): Promise<Listener | null> {
  const { features, ingest, limits, server } = config
  const { smtpPort } = features
  if (smtpPort === undefined) return null
  // Its libraries are only loaded if it is switched on.
  const { createMailListener } = await import('./smtp-server.ts')
  const listener = createMailListener({
    heartbeats: app.heartbeats,
    recipients: createMailRecipients({
      projectOf: app.projects.projectOfMailbox,
      locate: app.checks.locate,
      mailFilters: app.checks.mailFilters,
      canWait: ingest.mode === 'available',
    }),
    accepting: () => app.lifecycle.phase !== 'starting',
    domain: features.pingEmailDomain,
    keptBytes: ingest.mailLimitBytes,
    messageMaxBytes: limits.mailMaxBytes,
    heldMaxBytes: limits.mailHeldMaxBytes,
    connectionsMax: limits.mailConnectionsMax,
    log: app.log,
  })
  return {
    async listen() {
      const port = await listener.listen(server.host, smtpPort)
      app.log.info({ event: 'mail.listening', port }, `accepting heartbeats by e-mail on port ${port}`)
    },
    close: listener.close,
  }
}
