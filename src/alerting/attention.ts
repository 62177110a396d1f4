// People say that they have seen an outage, which ends its reminders and its escalation, or that they want to hear nothing of a check for
// a while. By key, or by a link that an alert carries, for one outage.

import type { WriteAudit } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import type { Database } from '../database/service.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Caller } from '../monitors/editing.ts'
import * as store from './attention-store.ts'
import { createCheckLinks } from './check-links.ts'
import type { Encryption } from './encryption.ts'

export type AttentionDocument = { acknowledged: boolean; snoozed_until: string | null }

/** The link itself is the credential. */
export type Visitor = Omit<Caller, 'projectId'>

export type Attention = ReturnType<typeof createAttention>

export function createAttention(options: {
  database: Database
  writeAudit: WriteAudit
  encryption: Encryption
  siteUrl: () => string
  now: () => number
}) {
  const { database, writeAudit, siteUrl, now } = options
  const links = createCheckLinks({ ...options, purpose: 'link to acknowledge' })

  const outageOf = (token: string) => {
    const { monitorId, about } = links.open(token)
    return { monitorId, seq: about }
  }

  async function attended(projectId: string | null, monitorId: string): Promise<store.Attended> {
    const found = await store.selectAttended(database, projectId, monitorId)
    if (found === null) throw new AppError('not_found', 'check not found')
    return found
  }

  async function acknowledge(caller: Caller, monitorId: string, seq: number): Promise<AttentionDocument> {
    await database.transaction(async (tx) => {
      if (!(await store.acknowledgeOutage(tx, caller.projectId, monitorId, seq, now())))
        throw new AppError('conflict', 'the check is not down, or not since then')
      await writeAudit(tx, { ...caller, action: 'check.acknowledge', target: monitorId })
    })
    return documentOf(await attended(caller.projectId, monitorId))
  }

  async function snooze(
    caller: Caller,
    monitorId: string,
    forS: number,
    seq: number | null = null,
  ): Promise<AttentionDocument> {
    const until = forS === 0 ? null : now() + forS * 1000
    const detail = { until: until === null ? null : isoMillis(until) }
    await database.transaction(async (tx) => {
      if (!(await store.snoozeMonitor(tx, caller.projectId, monitorId, { until, seq }, now())))
        throw seq === null
          ? new AppError('not_found', 'check not found')
          : new AppError('conflict', 'the outage that this link is about is over')
      await writeAudit(tx, { ...caller, action: 'check.snooze', target: monitorId, detail })
    })
    return documentOf(await attended(caller.projectId, monitorId))
  }

  function documentOf({ isDown, flipSeq, ackedSeq, snoozedUntil }: store.Attended): AttentionDocument {
    const snoozed = snoozedUntil !== null && snoozedUntil > now()
    return {
      acknowledged: isDown && ackedSeq === flipSeq,
      snoozed_until: snoozed ? isoMillis(snoozedUntil) : null,
    }
  }

  return {
    link: ({ monitorId, flipSeq }: { monitorId: string; flipSeq: number }) =>
      `${siteUrl()}/acknowledge/${links.seal(monitorId, flipSeq)}`,

    /** What the page of a link shows. It changes nothing, because mail scanners open links. */
    async look(token: string): Promise<{ name: string; project: string; goesOn: boolean } & AttentionDocument> {
      const { monitorId, seq } = outageOf(token)
      const found = await attended(null, monitorId)
      const { name, project } = found
      return { name, project, goesOn: found.isDown && found.flipSeq === seq, ...documentOf(found) }
    },

    async acknowledgeByLink(visitor: Visitor, token: string): Promise<void> {
      const { monitorId, seq } = outageOf(token)
      const { projectId } = await attended(null, monitorId)
      await acknowledge({ ...visitor, projectId }, monitorId, seq)
    },

    async snoozeByLink(visitor: Visitor, token: string, forS: number): Promise<void> {
      const { monitorId, seq } = outageOf(token)
      const { projectId } = await attended(null, monitorId)
      await snooze({ ...visitor, projectId }, monitorId, forS, seq)
    },

    get: async (projectId: string, monitorId: string) => documentOf(await attended(projectId, monitorId)),

    async acknowledge(caller: Caller, monitorId: string): Promise<AttentionDocument> {
      const { flipSeq } = await attended(caller.projectId, monitorId)
      return acknowledge(caller, monitorId, flipSeq)
    },

    /** `forS` counts seconds from now; 0 ends the snooze. */
    snooze: (caller: Caller, monitorId: string, forS: number) => snooze(caller, monitorId, forS),
  }
}
