// Telling people. Detection writes flips and knows nothing of this; step one (outbox.ts) turns flips into deliveries, step two
// (deliverer.ts) claims due ones and sends them. Neither changes a status.

import type { WriteAudit } from '../audit/store.ts'
import type { CheckDocument } from '../checks/document.ts'
import type { Settings } from '../checks/fields.ts'
import type { CircuitBreakers } from '../circuit-breakers/service.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import type { GuardedFetch } from '../outbound/guarded-fetch.ts'
import type { Quotas } from '../quotas/service.ts'
import { createAttention } from './attention.ts'
import { createChannelTests } from './channel-tests.ts'
import { createChannels } from './channels.ts'
import { countUnreachableProjects } from './channels-store.ts'
import { createConcluding } from './concluding.ts'
import { createDeliverer } from './deliverer.ts'
import { createDeliveries } from './deliveries.ts'
import type { AlertingLog } from './delivery-report.ts'
import { createDestinations } from './destinations.ts'
import type { Encryption } from './encryption.ts'
import { createLeases } from './leases.ts'
import { createLooking } from './looking.ts'
import { createMaintenance } from './maintenance.ts'
import { insertNotice, type NoticeText } from './notices-store.ts'
import { createOutbox } from './outbox.ts'
import { createPacing } from './pacing.ts'
import { createRecipients } from './recipients.ts'
import { createReencryption } from './reencryption.ts'
import { createSending } from './sending.ts'
import type { SignedLinks } from './signed-links.ts'
import { createSilences } from './silences.ts'
import { createSlots } from './slots.ts'
import * as store from './store.ts'
import type { StormPolicy } from './storm.ts'
import { createSwitchOff } from './switch-off.ts'
import { createTelling } from './telling.ts'
import type { Facilities, Transport } from './transport.ts'
import type { DeliveryPolicy, Verdict } from './verdict.ts'

export type AlertingLimits = {
  concurrency: number
  /** Messages of channel tests, for each project. */
  testsPerMinute: number
  /** Whether addresses have to confirm that they want mails. */
  confirmRecipients: boolean
  mailsPerHour: number
  leaseMs: number
  retryBaseMs: number
  retryMaxMs: number
  retryForMs: number
  suspectMs: number
  /** More outages of one check within an hour are flapping; 0 is never. */
  flappingOutages: number
  stormSingly: number
  stormGatherMs: number
}

export type AlertingOptions = {
  database: Database
  encryption: Encryption
  /** Of the links in alerts: the first signs, all are read. */
  keys: readonly Buffer[]
  transports: Record<string, Transport>
  fetch: GuardedFetch
  facilities: Facilities
  links: SignedLinks
  breakers: Pick<CircuitBreakers, 'get' | 'forget'>
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitChannel'>
  checkDocuments: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckDocument | null)[]>
  checkOfKey: (projectId: string, key: string) => Promise<string | null>
  settingsOf: (projectId: string, id: string) => Promise<Settings>
  siteUrl: () => string
  limits: AlertingLimits
  /** Called when a claim may find more than before. */
  onFree: () => void
  count: (kind: string, outcome: Verdict['status'], projectId: string) => void
  observe: (kind: string, seconds: number) => void
  log: AlertingLog
  now: () => number
  random: () => number
}

export type Alerting = ReturnType<typeof createAlerting>

export function createAlerting(options: AlertingOptions) {
  const { database, encryption, limits, now } = options
  const policy = policyOf(limits)
  const paceOf = (kind: string) => options.transports[kind]?.pace
  const destinations = createDestinations(options)
  const switchOff = createSwitchOff(options)
  const silences = createSilences({ ...options, outagesMax: limits.flappingOutages })
  const attention = createAttention(options)
  const recipients = createRecipients({ ...options, ...limits })
  const looking = createLooking(options)
  const tell = createTelling({ ...options, silences, acknowledgeLink: attention.link, checkLink: looking.link })
  const conclude = createConcluding({ ...options, switchOff, policy })
  const leases = createLeases({ database, leaseMs: limits.leaseMs, now })
  const sending = createSending({ ...options, destinations, tell, leases, recipients, conclude, policy })
  const pacing = createPacing({ paceOf, now })
  const slots = createSlots(limits.concurrency)
  const deliverer = createDeliverer({ ...options, slots, leases, destinations, pacing, sending })

  return {
    channels: createChannels({
      ...options,
      test: createChannelTests({ ...options, ...limits, sending, destinations, slots }),
      recipients,
      switchOff,
      destinations,
    }),
    recipients,
    reencrypt: createReencryption(options),
    deliveries: createDeliveries(options),
    relay: createOutbox({
      database,
      now,
      storm: stormOf(limits),
      groupingKinds: groupingKinds(options.transports),
      log: options.log,
    }),
    maintenance: createMaintenance(options),
    attention,
    looking,
    release: silences.release,
    claim: deliverer.claim,
    renewLeases: leases.renew,
    drain: deliverer.drain,

    /** Tells these channels, of whatever project, in the transaction of what it is about. */
    notify: (
      tx: Queryable,
      { about, seq, text, channelIds }: { about: string; seq: number; text: NoticeText; channelIds: readonly string[] },
    ): Promise<number> => insertNotice(tx, { projectId: null, about, seq, text, channelIds }, now()),

    /** How many projects cannot be alerted, because all of their channels are switched off. */
    unreachableProjects: () => countUnreachableProjects(database),

    /** How many deliveries are not finished. */
    queueLength: () => store.countUnfinished(database),

    /** Throws if what is encrypted now cannot be read again. */
    testEncryption(): void {
      if (encryption.decrypt(encryption.encrypt('test', 'test'), 'test') !== 'test')
        throw new Error('encryption does not give back what it was given')
    },
  }
}

function policyOf({ retryBaseMs, retryMaxMs, retryForMs, suspectMs }: AlertingLimits): DeliveryPolicy {
  return { baseMs: retryBaseMs, maxMs: retryMaxMs, forMs: retryForMs, suspectMs }
}

function stormOf({ stormSingly, stormGatherMs }: AlertingLimits): StormPolicy {
  return { singly: stormSingly, windowMs: 60_000, gatherMs: stormGatherMs }
}

/** Kinds of channels that can report several alerts in one message. */
function groupingKinds(transports: Record<string, Transport>): string[] {
  return Object.values(transports).flatMap(({ kind, category }) =>
    category === 'chat' || category === 'mail' ? [kind] : [],
  )
}
