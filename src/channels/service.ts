// Channels: what people do with them, and what sending through them needs.

import type { WriteAudit } from '../audit/store.ts'
import type { CircuitBreakers } from '../circuit-breakers/service.ts'
import type { Queryable } from '../database/connection/client.ts'
import { type Database, within } from '../database/service.ts'
import type { GuardedFetch } from '../outbound/guarded-fetch.ts'
import type { Quotas } from '../quotas/service.ts'
import { createChannels } from './channels.ts'
import { countUnreachableProjects, findChannels } from './channels-store.ts'
import { createChannelDefinitions } from './definitions.ts'
import type { DeliveryQueue } from './delivery-queue.ts'
import { createRecipients } from './recipients/recipients.ts'
import { createUnsubscribeLinks } from './recipients/unsubscribe-links.ts'
import { createEncryption } from './secrets/encryption.ts'
import { createReencryption, type EncryptedColumn } from './secrets/reencryption.ts'
import { createChannelTests } from './sending/channel-tests.ts'
import { createDestinations } from './sending/destinations.ts'
import { createSender, type SenderLog } from './sending/send.ts'
import { createSlots } from './sending/slots.ts'
import { createSwitchOff } from './switch-off.ts'
import type { Capabilities, Transport } from './wire/transport.ts'

export type ChannelLimits = {
  concurrency: number
  /** Messages of channel tests, for each project. */
  testsPerMinute: number
  /** Whether recipients have to confirm that they want mails. */
  confirmRecipients: boolean
  mailsPerHour: number
  retryMaxMs: number
}

export type ChannelServiceOptions = {
  database: Database
  /** The first encrypts secrets at rest and signs links, all decrypt and verify. */
  keys: readonly Buffer[]
  transports: Record<string, Transport>
  fetch: GuardedFetch
  capabilities: Capabilities
  queue: DeliveryQueue
  breakers: Pick<CircuitBreakers, 'get' | 'forget'>
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitChannel'>
  siteUrl: () => string
  limits: ChannelLimits
  observe: (kind: string, seconds: number) => void
  log: SenderLog
  now: () => number
  /** The signing secrets of checks, which the same keys encrypt. */
  signingSecrets: EncryptedColumn
}

export type ChannelService = ReturnType<typeof createChannelService>

export function createChannelService(options: ChannelServiceOptions) {
  const { database, keys, transports, limits, siteUrl } = options
  const encryption = createEncryption(keys)
  const links = createUnsubscribeLinks({ keys, siteUrl })
  const destinations = createDestinations({ ...options, paceOf: (kind) => transports[kind]?.pace })
  const switchOff = createSwitchOff(options)
  const recipients = createRecipients({ ...options, ...limits, encryption })
  const sender = createSender({
    ...options,
    encryption,
    destinations,
    links,
    recipients,
    retryAfterMaxMs: limits.retryMaxMs,
  })
  const slots = createSlots(limits.concurrency)
  const listeners: (() => void)[] = []
  const onFree = () => {
    for (const listener of listeners) listener()
  }
  const test = createChannelTests({ ...options, ...limits, sender, destinations, slots, onFree })

  const parts = { ...options, encryption, test, recipients, links, switchOff, destinations }

  return {
    ...createChannels(parts),
    /** What applies definitions within one transaction of the caller. */
    definitionsWithin: (tx: Queryable) =>
      createChannelDefinitions({ channels: createChannels({ ...parts, database: within(tx, database) }), transports }),
    reencrypt: createReencryption({ ...options, encryption }),
    transports,
    encryption,
    links,
    recipients,
    destinations,
    slots,
    sender,
    switchOff,

    /** Called when a channel test has given its slot back. */
    onFree(listener: () => void): void {
      listeners.push(listener)
    },

    /** How many projects cannot be alerted, because all of their channels are switched off. */
    /** Those of these ids that no channel of any project has. */
    missingOf: async (ids: readonly string[]): Promise<string[]> => {
      const found = (await findChannels(database, null, ids)).map(({ id }) => id)
      return ids.filter((id) => !found.includes(id.toLowerCase()))
    },
    unreachableProjects: () => countUnreachableProjects(database),

    /** Throws if a freshly encrypted value cannot be decrypted. */
    testEncryption(): void {
      if (encryption.decrypt(encryption.encrypt('test', 'test'), 'test') !== 'test')
        throw new Error('decryption does not return what was encrypted')
    },
  }
}
