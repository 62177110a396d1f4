// What a delivery has to tell, read from the database when it is sent.

import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import type { Database } from '../database/service.ts'
import type { CheckDocument } from '../monitors/document.ts'
import { findChannel } from './channels-store.ts'
import { incidentKey, type Message, type NoticeMessage, uniqueKey } from './message.ts'
import * as store from './store.ts'

export type Telling = ReturnType<typeof createTelling>

export function createTelling(options: {
  database: Database
  /** Rejects with AppError('not_found') for a check that is gone. */
  checkDocument: (projectId: string, id: string) => Promise<CheckDocument>
  siteUrl: () => string
}) {
  const { database, checkDocument, siteUrl } = options

  /** What to tell, or why there is nothing to tell any more. */
  return async function messageOf(delivery: store.ClaimedDelivery): Promise<Message | string> {
    if (delivery.event === 'disabled') return channelNotice(delivery)
    const { monitorId, projectId, flipSeq, event, id, attempts, requestId } = delivery
    const flip = await store.selectFlip(database, monitorId, flipSeq)
    if (flip === null) return 'the change is not on record any more'
    const check = await checkDocument(projectId, monitorId).catch((error: unknown) => {
      if (error instanceof AppError && ['not_found', 'forbidden'].includes(error.code)) return null
      throw error
    })
    if (check === null) return 'the check was deleted'
    const lastPing = await store.selectLastPing(database, monitorId, flip.at)
    const began = flip.from === 'down' ? await store.selectFlip(database, monitorId, flipSeq - 1) : null
    const { blindFrom, blindTo } = flip
    return {
      event,
      // A late alert is about the change, not about what has become of the check since.
      check: { ...check, status: flip.to },
      flip: { at: isoMillis(flip.at), from: flip.from, to: flip.to, reason: flip.reason },
      incident: incidentKey(monitorId, flip.from === 'down' ? flipSeq - 1 : flipSeq),
      delivery: { id, attempt: attempts },
      links: { check: `${siteUrl()}/api/v3/checks/${uniqueKey(monitorId)}` },
      ...(began && { outage: { at: isoMillis(began.at), reason: began.reason } }),
      ...(requestId !== null && { requestId }),
      ...(blindFrom !== null && blindTo !== null && { blind: { from: isoMillis(blindFrom), to: isoMillis(blindTo) } }),
      ...(lastPing && { lastPing }),
    }
  }

  /** The delivery is about a channel in place of a check. */
  async function channelNotice(delivery: store.ClaimedDelivery): Promise<NoticeMessage | string> {
    const { monitorId: channelId, projectId, id, attempts } = delivery
    const channel = await findChannel(database.prisma, projectId, channelId)
    if (channel === null) return 'the channel was deleted'
    if (channel.disabledAt === null) return 'the channel was switched on again'
    return {
      event: 'notice',
      notice: {
        severity: 'warning',
        at: isoMillis(channel.disabledAt.getTime()),
        title: `Channel ${channel.name} was switched off`,
        text: `Alerts cannot be sent there any more (${channel.disabledReason}). It tells nobody anything until it gets new settings.`,
        facts: [{ label: 'Kind', value: channel.kind }],
      },
      incident: `flatline-channel-${channelId}-${delivery.flipSeq}`,
      delivery: { id, attempt: attempts },
    }
  }
}
