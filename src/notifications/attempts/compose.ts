// Composes the message of a delivery at the moment of an attempt.

import { setImmediate as turn } from 'node:timers/promises'
import type { CheckView } from '../../checks/view.ts'
import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { isoMillis } from '../../kit/instant.ts'
import { type CheckMessage, incidentKey, type Message, type Severity } from '../../messages/message.ts'
import type { CheckLinks } from '../check-page/check-links.ts'
import type { AlertKind, Suppression, SuppressionCode } from '../queue/delivery-columns.ts'
import type { ClaimedDelivery } from '../queue/queue-store.ts'
import type { Suppressions } from '../suppression/suppression.ts'
import * as store from './compose-store.ts'

/** The message, or why it is not sent. */
export type Compose = (delivery: ClaimedDelivery) => Promise<Message | Suppression>

export type ComposerOptions = {
  database: Database
  /** In their order; null for a check that the project no longer has. */
  checkViews: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckView | null)[]>
  suppressions: Pick<Suppressions, 'why'>
  links: Pick<CheckLinks, 'page' | 'acknowledgement'>
  now: () => number
}

export function createComposer(options: ComposerOptions): Compose {
  const { database, suppressions, links, now } = options
  const flipOf = coalesce((keys: store.FlipKey[]) => store.selectFlips(database, keys))
  const lastPingOf = coalesce(async (keys: store.FlipKey[]) => {
    // Many channels get an alert about one flip, and the mail behind it may be a megabyte: parse it once.
    const distinct = new Map(keys.map((key) => [nameOf(key), key]))
    const found = await store.selectLastPings(database, [...distinct.values()])
    const read = new Map<string, CheckMessage['lastPing'] | null>()
    for (const [index, name] of [...distinct.keys()].entries()) read.set(name, await readable(found[index] ?? null))
    return keys.map((key) => read.get(nameOf(key)) ?? null)
  })
  const outageOf = coalesce((keys: (store.FlipKey & { channelId: string })[]) => store.selectOutages(database, keys))
  const checkOf = coalesce(options.checkViews)
  const isLeftToRecovery = coalesce(async (outages: { checkId: string; id: string }[]) => {
    const checkIds = outages.map(({ checkId }) => checkId)
    const ids = outages.map(({ id }) => id)
    const left = await database.transaction((tx) => store.coalesceWithRecovery(tx, checkIds, now(), ids))
    return ids.map((id) => left.has(id))
  })

  return async function compose(delivery) {
    const { subjectId: checkId, projectId, channelId, flipSeq, id, attempts, requestId, notice } = delivery
    if (notice !== null) {
      const at = isoMillis(delivery.createdAt)
      return {
        event: 'notice',
        ...(notice.asks !== undefined && { asks: notice.asks }),
        notice: { ...notice, at },
        incident: incidentKey(checkId, 0),
        delivery: { id, attempt: attempts },
      }
    }
    // Every other kind is about a change of a check.
    const kind = delivery.deliveryKind as AlertKind
    const change = { checkId, projectId, channelId, flipSeq, kind }
    if (kind === 'down' && (await isLeftToRecovery({ checkId, id }))) return never('coalesced', store.coalescedText)
    const [flip, suppression, check, lastPing, outage] = await Promise.all([
      flipOf(change),
      suppressions.why(change),
      checkOf({ projectId, id: checkId }),
      lastPingOf(change),
      kind === 'up' ? outageOf(change) : null,
    ])
    if (flip === null) return never('flip_deleted', 'the change is not on record any more')
    if (suppression !== null) return suppression
    if (check === null) return never('check_deleted', 'the check was deleted')
    const { blindFrom, blindTo, unheardReplica, unheardFrom } = flip
    return {
      event: kind === 'escalation' ? 'down' : kind,
      check,
      project: flip.project,
      flip: { at: isoMillis(flip.at), from: flip.from, to: flip.to, reason: flip.reason },
      incident: incidentKey(checkId, kind === 'up' ? flipSeq - 1 : flipSeq),
      severity: kind === 'up' ? 'resolved' : severityOf(check),
      delivery: { id, attempt: attempts },
      ...(requestId !== null && { requestId }),
      ...(blindFrom !== null && blindTo !== null && { blind: { from: isoMillis(blindFrom), to: isoMillis(blindTo) } }),
      ...(unheardReplica !== null &&
        unheardFrom !== null && { unheard: { replica: unheardReplica, since: isoMillis(unheardFrom) } }),
      ...(kind === 'escalation' && { escalated: true }),
      ...(kind === 'reminder' && { reminder: Math.max(1, delivery.ordinal) }),
      ...(lastPing && { lastPing }),
      links: {
        check: links.page(checkId),
        ...(kind !== 'up' && { acknowledge: links.acknowledgement({ checkId, flipSeq }) }),
      },
      ...(outage && { outage: { ...outage, at: isoMillis(outage.at) } }),
    }
  }
}

const nameOf = ({ checkId, flipSeq }: store.FlipKey) => `${checkId}/${flipSeq}`

/** The text of an e-mail without its encoding. The parser is loaded for the first one. */
async function readable(lastPing: store.LastPing | null): Promise<CheckMessage['lastPing'] | null> {
  if (lastPing === null) return null
  const { exitStatus, body, isMail } = lastPing
  if (body === null || !isMail) return { exitStatus, body }
  const { readableMessage } = await import('../../mail/message.ts')
  // Parsing a long message blocks the event loop, and the previous one may have been long, too.
  await turn()
  return { exitStatus, body: Buffer.from(readableMessage(body)) }
}

const never = (code: SuppressionCode, detail: string): Suppression => ({ code, detail, until: null })

/** A check without a severity counts as critical. */
function severityOf({ severity }: CheckView): Severity {
  return severity ?? 'critical'
}
