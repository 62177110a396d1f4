// Decides whether an alert is suppressed, and what follows when the reason has passed. An alert that was suppressed for
// a temporary reason is checked again: if the check is still down when no reason applies any more, a reminder follows,
// because no alert of the outage was sent. After a parent's outage the reminder waits until the check's next heartbeat
// is due, because a job that was only cut off sends one before that. A recovery whose outage was suppressed is
// suppressed too. Any other recovery goes to every channel that got its outage, whatever would suppress it now;
// otherwise an incident would stay open for ever.

import type { CheckSeverity, WantedAlerts } from '../../channels/wanted-alerts.ts'
import type { Settings } from '../../checks/fields/fields.ts'
import { isAffected, openUntil } from '../../core/alerting/maintenance.ts'
import { quietUntil } from '../../core/alerting/quiet-hours.ts'
import { rulesOf, tagsOf } from '../../core/check.ts'
import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { nextDue } from '../../schedule/schedule.ts'
import type { AlertKind, Suppression, SuppressionCode } from '../queue/delivery-columns.ts'
import { selectCurrentWindows } from './maintenance-store.ts'
import * as store from './suppression-store.ts'

const releaseMax = 100
/** The reminder of a job that runs once a day does not wait until tomorrow. */
const patienceMs = 3_600_000
const flappingWindowMs = 3_600_000
/** A check without a severity counts as critical. */
const severityDefault: CheckSeverity = 'critical'
const parentPauseMs = 15_000
const flappingPauseMs = 60_000

export type Suppressions = ReturnType<typeof createSuppressions>

type AlertChange = { checkId: string; channelId: string; projectId: string; flipSeq: number; kind: AlertKind }

export function createSuppressions(options: {
  database: Database
  /** Rejects for a deleted check. */
  settingsOf: (projectId: string, id: string) => Promise<Settings>
  /** A check with more outages within an hour is flapping; 0 means never. */
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

  /** Null if it is to be sent, or if the check is deleted. */
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

/** What is known at the moment of an attempt. Instants in epoch milliseconds. */
type Circumstances = {
  kind: AlertKind
  alerts: WantedAlerts
  severity: CheckSeverity | null
  /** The outage of this delivery, or before this recovery: whether it lasts, was acknowledged, was sent. */
  goesOn: boolean
  acknowledged: boolean
  outageAlert: store.OutageAlert
  parentIsDown: boolean
  maintenance: { name: string; until: number } | null
  snoozedUntil: number | null
  /** Within the last hour. */
  outages: number
  outagesMax: number
}

/** A pure decision. */
function suppressionOf(facts: Circumstances, now: number): Suppression | null {
  const { kind, alerts } = facts
  const severity = facts.severity ?? severityDefault
  const unwanted = alerts.severities !== undefined && !alerts.severities.includes(severity)
  const wanted = alerts.events ?? ['down', 'up']
  if (kind === 'up') {
    if (!wanted.includes('up')) return final('unwanted', 'the channel does not alert about recoveries')
    if (facts.outageAlert === 'suppressed') return final('outage_unsent', 'the alert about the outage was suppressed')
    return unwanted && facts.outageAlert !== 'sent'
      ? final('unwanted', `the channel does not alert about severity ${severity}`)
      : null
  }
  if (!wanted.includes('down')) return final('unwanted', 'the channel does not alert about outages')
  if (unwanted) return final('unwanted', `the channel does not alert about severity ${severity}`)
  if (kind !== 'down' && !facts.goesOn) return final('recovered', 'the check recovered')
  if (kind !== 'down' && facts.acknowledged) return final('acknowledged', 'the outage was acknowledged')
  return passingSuppression(facts, now)
}

function final(code: SuppressionCode, detail: string): Suppression {
  return { code, detail, until: null }
}

function passingSuppression({ alerts, ...facts }: Circumstances, now: number): Suppression | null {
  if (facts.parentIsDown) return { code: 'parent', detail: 'the parent check was down', until: now + parentPauseMs }
  if (facts.maintenance) {
    const { name, until } = facts.maintenance
    return { code: 'maintenance', detail: `maintenance: ${name}`, until }
  }
  if (facts.snoozedUntil !== null && facts.snoozedUntil > now)
    return { code: 'snooze', detail: 'the check was snoozed', until: facts.snoozedUntil }
  if (facts.outagesMax > 0 && facts.outages > facts.outagesMax)
    return { code: 'flapping', detail: 'the check was flapping', until: now + flappingPauseMs }
  const until = alerts.quiet_hours === undefined ? null : quietUntil(alerts.quiet_hours, now)
  return until === null ? null : { code: 'quiet_hours', detail: 'the channel had quiet hours', until }
}
