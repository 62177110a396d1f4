// What a delivery has to tell at the moment of an attempt.

import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import type { Database } from '../database/service.ts'
import type { CheckDocument } from '../monitors/document.ts'
import { incidentKey, type Message, type Severity, uniqueKey } from './message.ts'
import { leaveToRecovery, selectOutage, toldWithRecovery } from './order-store.ts'
import type { Circumstances, Silence } from './silence.ts'
import type { Silences } from './silences.ts'
import * as store from './store.ts'

/** The message, or why it is not to be told. */
export type Tell = (delivery: store.ClaimedDelivery) => Promise<Message | Silence>

export type TellingOptions = {
  database: Database
  /** Rejects with AppError('not_found') for a check that is gone. */
  checkDocument: (projectId: string, id: string) => Promise<CheckDocument>
  silences: Pick<Silences, 'why'>
  /** Where people say that they have seen it. */
  acknowledgeLink: (outage: { monitorId: string; flipSeq: number }) => string
  siteUrl: () => string
  now: () => number
}

export function createTelling(options: TellingOptions): Tell {
  const { database, checkDocument, silences, now } = options

  return async function tell(delivery) {
    const { monitorId, channelId, projectId, flipSeq, id, attempts, requestId, notice } = delivery
    const event = eventOf(delivery)
    if (notice !== null) {
      const at = isoMillis(delivery.createdAt)
      return {
        event: 'notice',
        notice: { ...notice, at },
        incident: incidentKey(monitorId, 0),
        delivery: { id, attempt: attempts },
      }
    }
    if (event === 'down' && (await leaveToRecovery(database, [monitorId], now(), id))) return nothing(toldWithRecovery)
    const flip = await store.selectFlip(database, monitorId, flipSeq)
    if (flip === null) return nothing('the change is not on record any more')
    const silence = await silences.why(delivery)
    if (silence !== null) return silence
    const check = await checkDocument(projectId, monitorId).catch((error: unknown) => {
      if (error instanceof AppError && ['not_found', 'forbidden'].includes(error.code)) return null
      throw error
    })
    if (check === null) return nothing('the check was deleted')
    const lastPing = await store.selectLastPing(database, monitorId, flip.at)
    const outage = event === 'up' ? await selectOutage(database, monitorId, channelId, flipSeq) : null
    const { blindFrom, blindTo } = flip
    return {
      event: event === 'escalation' ? 'down' : event,
      // A late alert is about the change, not about what has become of the check since.
      check: { ...check, status: flip.to },
      flip: { at: isoMillis(flip.at), from: flip.from, to: flip.to, reason: flip.reason },
      incident: incidentKey(monitorId, event === 'up' ? flipSeq - 1 : flipSeq),
      severity: event === 'up' ? 'resolved' : severityOf(check),
      delivery: { id, attempt: attempts },
      ...(requestId !== null && { requestId }),
      ...(blindFrom !== null && blindTo !== null && { blind: { from: isoMillis(blindFrom), to: isoMillis(blindTo) } }),
      ...(event === 'reminder' && { reminder: Number(/:(\d+)$/.exec(delivery.event)?.[1] ?? 1) }),
      ...(lastPing && { lastPing }),
      links: {
        check: `${options.siteUrl()}/api/v3/checks/${uniqueKey(monitorId)}`,
        ...(event !== 'up' && { acknowledge: options.acknowledgeLink(delivery) }),
      },
      ...(outage && { outage: { ...outage, at: isoMillis(outage.at) } }),
    }
  }
}

const nothing = (reason: string): Silence => ({ reason, held: null, until: null })

/** One without a severity of its own is taken seriously. */
function severityOf({ severity }: CheckDocument): Severity {
  return severity === 'info' || severity === 'warning' ? severity : 'critical'
}

/** Reminders of one outage are numbered. */
export function eventOf({ event }: { event: string }): Circumstances['event'] {
  if (event === 'down' || event === 'up' || event === 'escalation') return event
  return 'reminder'
}
