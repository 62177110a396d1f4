// Alerts that are suppressed, and what follows when the reason has passed. A recovery whose outage was suppressed is suppressed too. If the
// check is still down when no reason holds any more, a reminder follows, because no alert of the outage was sent; after a parent's outage
// only once its next heartbeat should have come, because a job that was only cut off beats before that.

import type { Settings } from '../../checks/fields/fields.ts'
import { isAffected, openUntil } from '../../core/alerting/maintenance.ts'
import { rulesOf, tagsOf } from '../../core/check.ts'
import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { nextDue } from '../../schedule/schedule.ts'
import type { AlertKind, Suppression } from '../queue/delivery-columns.ts'
import { selectCurrentWindows } from './maintenance-store.ts'
import { suppressionOf } from './suppression.ts'
import * as store from './suppressions-store.ts'

const releaseMax = 100
/** A job that runs once a day is not waited for until tomorrow. */
const patienceMs = 3_600_000
const flappingWindowMs = 3_600_000

export type Suppressions = ReturnType<typeof createSuppressions>

type AlertChange = { checkId: string; channelId: string; projectId: string; flipSeq: number; kind: AlertKind }

export function createSuppressions(options: {
  database: Database
  /** Rejects for a check that is gone. */
  settingsOf: (projectId: string, id: string) => Promise<Settings>
  /** More outages within an hour are flapping; 0 is never. */
  outagesMax: number
  now: () => number
}) {
  const { database, settingsOf, outagesMax, now } = options
  const factsOf = coalesce((outages: store.OutageOnChannel[]) =>
    store.selectFacts(database, outages, now() - flappingWindowMs),
  )
  const windowsOf = coalesce((checks: Pick<AlertChange, 'projectId' | 'checkId'>[]) =>
    selectCurrentWindows(database, checks, now()),
  )

  /** Null if it is to be sent, or if the check is gone. */
  async function why(change: AlertChange): Promise<Suppression | null> {
    const { checkId, channelId, projectId, flipSeq, kind } = change
    const at = now()
    const outage = { checkId, channelId, seq: kind === 'up' ? flipSeq - 1 : flipSeq }
    const [facts, windows] = await Promise.all([factsOf(outage), windowsOf({ projectId, checkId })])
    if (facts === null) return null
    const check = { id: checkId, tags: tagsOf(facts) }
    const maintenance = windows.flatMap(({ name, time, scope }) => {
      const until = isAffected(scope, check) ? openUntil(time, at) : null
      return until === null ? [] : [{ name, until }]
    })[0]
    return suppressionOf(
      { ...facts, alerts: facts.alerts ?? {}, kind, maintenance: maintenance ?? null, outagesMax },
      at,
    )
  }

  async function dueOf({ projectId, checkId, suppression }: store.SuppressedAlert): Promise<number> {
    const settings = suppression === 'parent' ? await settingsOf(projectId, checkId).catch(() => null) : null
    if (settings === null) return now()
    const rules = rulesOf(settings)
    const next = nextDue(rules.schedule, now()) ?? Number.POSITIVE_INFINITY
    return Math.min(next + rules.graceS * 1000, now() + patienceMs)
  }

  return {
    why,

    /** Checks suppressed alerts again whose reason may have passed; true if there may be more. */
    async release(): Promise<boolean> {
      const due = await store.selectReleasable(database, now(), releaseMax)
      const checked = await Promise.all(
        due.map(async (one) => {
          const renewed = one.over ? null : await why({ ...one, kind: 'reminder' })
          const reminder = one.over || renewed !== null ? null : await dueOf(one)
          return { ...one, renewed, reminder }
        }),
      )
      if (checked.length === 0) return false
      await database.transaction(async (tx) => {
        const settled = new Set(await store.updateSuppressed(tx, checked))
        const reminders = checked.flatMap(({ reminder: due, ...one }) =>
          due !== null && settled.has(one.id) ? [{ ...one, due }] : [],
        )
        if (reminders.length > 0) await store.insertReminders(tx, reminders, now())
      })
      return due.length === releaseMax
    },
  }
}
