// Telling people. Detection writes flips and knows nothing of this; step one (outbox.ts) turns flips into deliveries, step two
// (deliverer.ts) claims due ones and sends them. Neither changes a status.

import type { WriteAudit } from '../audit/store.ts'
import type { CircuitBreakers } from '../circuit-breakers/service.ts'
import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import type { Database } from '../database/service.ts'
import type { CheckDocument } from '../monitors/document.ts'
import { createChannels } from './channels.ts'
import { createDeliverer } from './deliverer.ts'
import { createDestinations } from './destinations.ts'
import type { Encryption } from './encryption.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import { createOutbox } from './outbox.ts'
import { createReencryption } from './reencryption.ts'
import { type AlertingLog, createSending } from './sending.ts'
import type { SignedLinks } from './signed-links.ts'
import * as store from './store.ts'
import { createSwitchOff } from './switch-off.ts'
import { createTelling } from './telling.ts'
import type { Facilities, Transport } from './transport.ts'
import type { Verdict } from './verdict.ts'

export type AlertingLimits = {
  concurrency: number
  /** The longest of all kinds. */
  requestTimeoutMs: number
  retryBaseMs: number
  retryMaxMs: number
  retryForMs: number
  suspectMs: number
}

export type AlertingOptions = {
  database: Database
  encryption: Encryption
  transports: Record<string, Transport>
  fetch: GuardedFetch
  facilities: Facilities
  links: SignedLinks
  breakers: Pick<CircuitBreakers, 'get' | 'forget'>
  writeAudit: WriteAudit
  checkDocument: (projectId: string, id: string) => Promise<CheckDocument>
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

export type DeliveryDocument = {
  id: string
  /** Null if it is about a channel that was switched off. */
  check: string | null
  channel: string
  event: string
  flip: { at: string; from: string; to: string; reason: string } | null
  status: store.DeliveryStatus
  attempts: number
  next_attempt: string | null
  last_error: string | null
  /** Of the request that caused the flip; null if time did. */
  request_id: string | null
}

export type Alerting = ReturnType<typeof createAlerting>

export function createAlerting(options: AlertingOptions) {
  const { database, encryption, limits, now } = options
  const policy = {
    baseMs: limits.retryBaseMs,
    maxMs: limits.retryMaxMs,
    forMs: limits.retryForMs,
    suspectMs: limits.suspectMs,
  }
  const paceOf = (kind: string) => options.transports[kind]?.pace
  const destinations = createDestinations({ ...options, paceOf })
  const switchOff = createSwitchOff(options)
  const sending = createSending({ ...options, destinations, policy, switchOff, messageOf: createTelling(options) })
  const deliverer = createDeliverer({
    ...options,
    ...limits,
    destinations,
    sending,
  })

  return {
    channels: createChannels({ ...options, sending, switchOff, destinations }),
    reencrypt: createReencryption(options),
    relay: createOutbox({ database, now }),
    claim: deliverer.claim,
    drain: deliverer.drain,

    /** How many deliveries are not finished. */
    queueLength: () => store.countUnfinished(database),

    /** Throws if what is encrypted now cannot be read again. */
    testEncryption(): void {
      if (encryption.decrypt(encryption.encrypt('test', 'test'), 'test') !== 'test')
        throw new Error('encryption does not give back what it was given')
    },

    /** Newest first; `next` is the `after` of the next page, null if this is the last. */
    async deliveries(
      projectId: string,
      { after, ...filter }: Omit<store.DeliveryFilter, 'after'> & { after?: string | undefined },
      limit: number,
    ): Promise<{ deliveries: DeliveryDocument[]; next: string | null }> {
      const position = after === undefined ? undefined : parseCursor(after)
      const rows = await store.selectDeliveries(database, projectId, { ...filter, after: position }, limit + 1)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return { deliveries: page.map(deliveryDocument), next: rows.length > limit && last ? cursor(last) : null }
    },
  }
}

function deliveryDocument(row: store.DeliveryRow): DeliveryDocument {
  const { at, from, to, reason } = row
  return {
    id: row.id,
    check: row.event === 'disabled' ? null : row.monitorId,
    channel: row.channelId,
    event: row.event,
    flip: at === null ? null : { at: isoMillis(at), from, to, reason },
    status: row.status,
    attempts: row.attempts,
    next_attempt: row.nextAttemptAt === null ? null : isoMillis(row.nextAttemptAt),
    last_error: row.lastError,
    request_id: row.requestId,
  }
}

function cursor({ createdAt, flipSeq, id }: store.DeliveryPosition): string {
  return Buffer.from(`${createdAt}.${flipSeq}.${id}`).toString('base64url')
}

function parseCursor(text: string): store.DeliveryPosition {
  const parts = /^(\d{1,15})\.(\d{1,9})\.([0-9a-f-]{36})$/.exec(Buffer.from(text, 'base64url').toString())
  if (parts === null || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(parts[3] as string))
    throw new AppError('bad_request', 'after is not the next of an earlier answer', { field: 'after' })
  return { createdAt: Number(parts[1]), flipSeq: Number(parts[2]), id: parts[3] as string }
}
