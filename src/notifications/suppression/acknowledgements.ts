// People acknowledge an outage, which ends its reminders and its escalation, or snooze a check for a while. They use an
// API key, or the link of an alert, which is valid for one outage.

import type { WriteAudit } from '../../audit/store.ts'
import type { Editor } from '../../checks/editing.ts'
import { AppError } from '../../core/errors.ts'
import type { Database } from '../../database/service.ts'
import { isoMillis } from '../../kit/instant.ts'
import type { Visitor } from '../../messages/link-routes.ts'
import type { CheckLinks } from '../check-page/check-links.ts'
import * as store from './acknowledgements-store.ts'

export type AcknowledgementDocument = { acknowledged: boolean; snoozed_until: string | null }

export type Acknowledgements = ReturnType<typeof createAcknowledgements>

export function createAcknowledgements(options: {
  database: Database
  writeAudit: WriteAudit
  links: Pick<CheckLinks, 'open'>
  now: () => number
}) {
  const { database, writeAudit, links, now } = options

  const outageOf = (token: string) => {
    const { checkId, flipSeq } = links.open('acknowledgement', token)
    return { checkId, seq: flipSeq }
  }

  async function find(projectId: string | null, checkId: string): Promise<store.CheckOutage> {
    const found = await store.selectOutage(database, projectId, checkId)
    if (found === null) throw new AppError('not_found', 'check not found')
    return found
  }

  async function acknowledge(caller: Editor, checkId: string, seq: number): Promise<AcknowledgementDocument> {
    await database.transaction(async (tx) => {
      if (!(await store.acknowledgeOutage(tx, caller.projectId, checkId, seq, now())))
        throw new AppError('conflict', 'the check is not down, or not since then')
      await writeAudit(tx, { ...caller, action: 'check.acknowledge', target: checkId })
    })
    return documentOf(await find(caller.projectId, checkId))
  }

  async function snooze(
    caller: Editor,
    checkId: string,
    forS: number,
    seq: number | null = null,
  ): Promise<AcknowledgementDocument> {
    const until = forS === 0 ? null : now() + forS * 1000
    const detail = { until: until === null ? null : isoMillis(until) }
    await database.transaction(async (tx) => {
      if (!(await store.snoozeCheck(tx, caller.projectId, checkId, { until, seq }, now())))
        throw seq === null
          ? new AppError('not_found', 'check not found')
          : new AppError('conflict', 'the outage that this link is about is over')
      await writeAudit(tx, { ...caller, action: 'check.snooze', target: checkId, detail })
    })
    return documentOf(await find(caller.projectId, checkId))
  }

  function documentOf({ isDown, flipSeq, ackedSeq, snoozedUntil }: store.CheckOutage): AcknowledgementDocument {
    const snoozed = snoozedUntil !== null && snoozedUntil > now()
    return {
      acknowledged: isDown && ackedSeq === flipSeq,
      snoozed_until: snoozed ? isoMillis(snoozedUntil) : null,
    }
  }

  return {
    /** The content of the page of a link. It changes nothing, because mail scanners open links. */
    async readLink(
      token: string,
    ): Promise<{ name: string; project: string; goesOn: boolean } & AcknowledgementDocument> {
      const { checkId, seq } = outageOf(token)
      const found = await find(null, checkId)
      const { name, project } = found
      return { name, project, goesOn: found.isDown && found.flipSeq === seq, ...documentOf(found) }
    },

    async acknowledgeByLink(visitor: Visitor, token: string): Promise<void> {
      const { checkId, seq } = outageOf(token)
      const { projectId } = await find(null, checkId)
      await acknowledge({ ...visitor, projectId }, checkId, seq)
    },

    async snoozeByLink(visitor: Visitor, token: string, forS: number): Promise<void> {
      const { checkId, seq } = outageOf(token)
      const { projectId } = await find(null, checkId)
      await snooze({ ...visitor, projectId }, checkId, forS, seq)
    },

    get: async (projectId: string, checkId: string) => documentOf(await find(projectId, checkId)),

    async acknowledge(caller: Editor, checkId: string): Promise<AcknowledgementDocument> {
      const { flipSeq } = await find(caller.projectId, checkId)
      return acknowledge(caller, checkId, flipSeq)
    },

    /** `forS` counts seconds from now; 0 ends the snooze. */
    snooze: (caller: Editor, checkId: string, forS: number) => snooze(caller, checkId, forS),
  }
}
