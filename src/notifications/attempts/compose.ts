// The message of a delivery at the moment of an attempt.

import { setImmediate as turn } from 'node:timers/promises'
import type { CheckDocument } from '../../checks/document.ts'
import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { isoMillis } from '../../kit/instant.ts'
import { type CheckMessage, incidentKey, type Message, type Severity } from '../../messages/message.ts'
import { leaveToRecovery, selectOutages, toldWithRecovery } from '../follow-ups/coalescing-store.ts'
import type { ClaimedDelivery } from '../queue-store.ts'
import type { Circumstances, Suppression } from '../suppression/suppression.ts'
import type { Suppressions } from '../suppression/suppressions.ts'
import { type FlipKey, type LastPing, selectFlips, selectLastPings } from './compose-store.ts'

/** The message, or why it is not sent. */
export type Compose = (delivery: ClaimedDelivery) => Promise<Message | Suppression>

export type ComposerOptions = {
  database: Database
  /** In their order; null of a check that the project does not have any more. */
  checkDocuments: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckDocument | null)[]>
  suppressions: Pick<Suppressions, 'why'>
  /** Where people say that they have seen it. */
  acknowledgeLink: (outage: { checkId: string; flipSeq: number }) => string
  /** Where people see how it stands. */
  checkLink: (checkId: string) => string
  now: () => number
}

export function createComposer(options: ComposerOptions): Compose {
  const { database, suppressions, now } = options
  const flipOf = coalesce((keys: FlipKey[]) => selectFlips(database, keys))
  const lastPingOf = coalesce(async (keys: FlipKey[]) => {
    // Many channels get an alert about one flip, and the mail behind it may be a megabyte: parse it once.
    const distinct = new Map(keys.map((key) => [nameOf(key), key]))
    const found = await selectLastPings(database, [...distinct.values()])
    const read = new Map<string, CheckMessage['lastPing'] | null>()
    for (const [index, name] of [...distinct.keys()].entries()) read.set(name, await readable(found[index] ?? null))
    return keys.map((key) => read.get(nameOf(key)) ?? null)
  })
  const outageOf = coalesce((keys: (FlipKey & { channelId: string })[]) => selectOutages(database, keys))
  const checkOf = coalesce(options.checkDocuments)
  const isLeftToRecovery = coalesce(async (outages: { checkId: string; id: string }[]) => {
    const checkIds = outages.map(({ checkId }) => checkId)
    const ids = outages.map(({ id }) => id)
    const left = await database.transaction((tx) => leaveToRecovery(tx, checkIds, now(), ids))
    return ids.map((id) => left.has(id))
  })

  return async function compose(delivery) {
    const { checkId, projectId, flipSeq, id, attempts, requestId, notice } = delivery
    const event = eventOf(delivery)
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
    if (event === 'down' && (await isLeftToRecovery(delivery))) return nothing(toldWithRecovery)
    const [flip, suppression, check, lastPing, outage] = await Promise.all([
      flipOf(delivery),
      suppressions.why(delivery),
      checkOf({ projectId, id: checkId }),
      lastPingOf(delivery),
      event === 'up' ? outageOf(delivery) : null,
    ])
    if (flip === null) return nothing('the change is not on record any more')
    if (suppression !== null) return suppression
    if (check === null) return nothing('the check was deleted')
    const { blindFrom, blindTo, unheardReplica, unheardFrom } = flip
    return {
      event: event === 'escalation' ? 'down' : event,
      // A late alert is about the change, not about what has become of the check since.
      check: { ...check, status: flip.to },
      project: flip.project,
      flip: { at: isoMillis(flip.at), from: flip.from, to: flip.to, reason: flip.reason },
      incident: incidentKey(checkId, event === 'up' ? flipSeq - 1 : flipSeq),
      severity: event === 'up' ? 'resolved' : severityOf(check),
      delivery: { id, attempt: attempts },
      ...(requestId !== null && { requestId }),
      ...(blindFrom !== null && blindTo !== null && { blind: { from: isoMillis(blindFrom), to: isoMillis(blindTo) } }),
      ...(unheardReplica !== null &&
        unheardFrom !== null && { unheard: { replica: unheardReplica, since: isoMillis(unheardFrom) } }),
      ...(event === 'escalation' && { escalated: true }),
      ...(event === 'reminder' && { reminder: Number(/:(\d+)$/.exec(delivery.event)?.[1] ?? 1) }),
      ...(lastPing && { lastPing }),
      links: {
        check: options.checkLink(checkId),
        ...(event !== 'up' && { acknowledge: options.acknowledgeLink(delivery) }),
      },
      ...(outage && { outage: { ...outage, at: isoMillis(outage.at) } }),
    }
  }
}

const nameOf = ({ checkId, flipSeq }: FlipKey) => `${checkId}/${flipSeq}`

/** Of a message people are told what it says, not how it is encoded. What reads it is loaded where there is one. */
async function readable(lastPing: LastPing | null): Promise<CheckMessage['lastPing'] | null> {
  if (lastPing === null) return null
  const { exitStatus, body, isMail } = lastPing
  if (body === null || !isMail) return { exitStatus, body }
  const { readableMessage } = await import('../../mail/message.ts')
  // The one before may have been as long.
  await turn()
  return { exitStatus, body: Buffer.from(readableMessage(body)) }
}

const nothing = (reason: string): Suppression => ({ reason, held: null, until: null })

/** One without a severity of its own is taken seriously. */
function severityOf({ severity }: CheckDocument): Severity {
  return severity === 'info' || severity === 'warning' ? severity : 'critical'
}

/** Reminders of one outage are numbered. */
export function eventOf({ event }: { event: string }): Circumstances['event'] {
  if (event === 'down' || event === 'up' || event === 'escalation') return event
  return 'reminder'
}
