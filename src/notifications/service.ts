// Notifications. Detection writes flips and does not depend on this module; the outbox turns flips into deliveries, and the
// worker claims due deliveries and sends them. Neither changes a status.

import type { WriteAudit } from '../audit/store.ts'
import type { ChannelService } from '../channels/service.ts'
import type { Transport } from '../channels/wire/transport.ts'
import type { Settings } from '../checks/fields/fields.ts'
import type { CheckWithChannels } from '../checks/listing-store.ts'
import type { CheckView } from '../checks/view.ts'
import type { Queryable } from '../database/connection/client.ts'
import { type Database, within } from '../database/service.ts'
import { createAttempts, type DeliveryTiming } from './attempts/attempt.ts'
import { createComposer } from './attempts/compose.ts'
import { createConclude, type NotificationLog } from './attempts/conclude.ts'
import type { DeliveryOutcome, DeliveryPolicy } from './attempts/outcome.ts'
import { createCheckLinks } from './check-page/check-links.ts'
import { createCheckPage } from './check-page/check-page.ts'
import { createDeliveries } from './deliveries.ts'
import { createGate } from './gate.ts'
import { createOutbox, type StormPolicy } from './outbox/outbox.ts'
import { createLeases } from './queue/leases.ts'
import { notifyOperators } from './queue/operator-notices.ts'
import type { Notice } from './queue/operator-notices-store.ts'
import * as store from './queue/queue-store.ts'
import { createAcknowledgements } from './suppression/acknowledgements.ts'
import { createMaintenance } from './suppression/maintenance.ts'
import { createMaintenanceDefinitions } from './suppression/maintenance-definitions.ts'
import { createSuppressions } from './suppression/suppression.ts'
import { createWorker } from './worker.ts'

export type NotificationLimits = {
  leaseMs: number
  retryBaseMs: number
  retryMaxMs: number
  retryForMs: number
  suspectMs: number
  /** A check with more outages within an hour is flapping; 0 means never. */
  flappingOutages: number
  stormSingly: number
  stormGatherMs: number
}

export type NotificationOptions = {
  database: Database
  channels: Pick<ChannelService, 'transports' | 'encryption' | 'destinations' | 'slots' | 'sender' | 'switchOff'>
  writeAudit: WriteAudit
  checkViews: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckView | null)[]>
  checkOfKey: (projectId: string, key: string) => Promise<string | null>
  settingsOf: (projectId: string, id: string) => Promise<Settings>
  siteUrl: () => string
  limits: NotificationLimits
  /** Called when a claim may find more than before. */
  onFree: () => void
  count: (kind: string, status: DeliveryOutcome['status'], projectId: string) => void
  timed: DeliveryTiming
  /** Runs an attempt as a span of the status change that it reports. */
  traced: (deliveries: readonly store.ClaimedDelivery[], attempt: () => Promise<void>) => Promise<void>
  log: NotificationLog
  now: () => number
  random: () => number
}

export type Notifications = ReturnType<typeof createNotifications>

export function createNotifications(options: NotificationOptions) {
  const { database, channels, limits, now } = options
  const { encryption, destinations, slots, sender, switchOff, transports } = channels
  const policy = policyOf(limits)
  const suppressions = createSuppressions({ ...options, outagesMax: limits.flappingOutages })
  const links = createCheckLinks({ ...options, encryption })
  const compose = createComposer({ ...options, suppressions, links })
  const conclude = createConclude({ ...options, switchOff, policy })
  const leases = createLeases({ database, leaseMs: limits.leaseMs, now })
  const attempts = createAttempts({ ...options, sender, compose, leases, conclude, policy })
  const gate = createGate({ slots, destinations, sender })
  const worker = createWorker({ ...options, slots, leases, gate, attempts })

  return {
    deliveries: createDeliveries({ ...options, gate }),
    relay: createOutbox({
      database,
      now,
      storm: stormOf(limits),
      groupingKinds: groupingKinds(transports),
      log: options.log,
    }),
    maintenance: createMaintenance(options),
    /** What applies definitions of maintenance windows within one transaction of the caller. */
    maintenanceDefinitionsWithin: (
      tx: Queryable,
      named: (projectId: string, words: ReadonlySet<string>) => Promise<CheckWithChannels[]>,
    ) =>
      createMaintenanceDefinitions({
        maintenance: createMaintenance({ ...options, database: within(tx, database) }),
        named,
      }),
    links,
    acknowledgements: createAcknowledgements({ ...options, links }),
    checkPage: createCheckPage({ ...options, links }),
    release: suppressions.release,
    claim: worker.claim,
    renewLeases: leases.renew,
    drain: worker.drain,

    /** Queues a notice about Flatline itself for these channels, of any project, in the caller's transaction. */
    notify: (tx: Queryable, notice: Notice & { channelIds: readonly string[] }): Promise<number> =>
      notifyOperators(tx, notice, now()),

    /** The number of unfinished deliveries. */
    queueLength: () => store.countUnfinished(database),
  }
}

function policyOf({ retryBaseMs, retryMaxMs, retryForMs, suspectMs }: NotificationLimits): DeliveryPolicy {
  return { baseMs: retryBaseMs, maxMs: retryMaxMs, forMs: retryForMs, suspectMs }
}

function stormOf({ stormSingly, stormGatherMs }: NotificationLimits): StormPolicy {
  return { singly: stormSingly, windowMs: 60_000, gatherMs: stormGatherMs }
}

/** Kinds of channels that can report several alerts in one message. */
function groupingKinds(transports: Record<string, Transport>): string[] {
  return Object.values(transports).flatMap(({ kind, category }) =>
    category === 'chat' || category === 'mail' ? [kind] : [],
  )
}
