// Whether an alert is suppressed: a pure decision. Some reasons pass, and an alert that was suppressed for one is checked again then: an
// outage that still goes on is sent as a reminder. A recovery goes to every channel that got its outage, whatever would suppress it now,
// or an incident would stay open for ever.

import type { CheckSeverity, WantedAlerts } from '../../channels/wanted-alerts.ts'
import { quietUntil } from '../../core/alerting/quiet-hours.ts'
import type { AlertKind, Suppression, SuppressionCode } from '../queue/delivery-columns.ts'

/** Whether an alert of the outage was sent, was suppressed for a reason that passes, or neither. */
export type OutageAlert = 'sent' | 'suppressed' | 'none'

/** What is known at the moment of an attempt. Instants in epoch milliseconds. */
export type Circumstances = {
  kind: AlertKind
  alerts: WantedAlerts
  severity: CheckSeverity | null
  /** The outage of this delivery, or before this recovery: whether it lasts, was acknowledged, was sent. */
  goesOn: boolean
  acknowledged: boolean
  outageAlert: OutageAlert
  parentIsDown: boolean
  maintenance: { name: string; until: number } | null
  snoozedUntil: number | null
  /** Within the last hour. */
  outages: number
  outagesMax: number
}

/** A check without one is taken seriously. */
const severityDefault: CheckSeverity = 'critical'
const parentPauseMs = 15_000
const flappingPauseMs = 60_000

export function suppressionOf(facts: Circumstances, now: number): Suppression | null {
  const { kind, alerts } = facts
  const severity = facts.severity ?? severityDefault
  const unwanted = alerts.severities !== undefined && !alerts.severities.includes(severity)
  const wanted = alerts.events ?? ['down', 'up']
  if (kind === 'up') {
    if (!wanted.includes('up')) return final('unwanted', 'the channel tells no recoveries')
    if (facts.outageAlert === 'suppressed') return final('outage_unsent', 'nobody was told that the check was down')
    return unwanted && facts.outageAlert !== 'sent'
      ? final('unwanted', `the channel tells nothing of severity ${severity}`)
      : null
  }
  if (!wanted.includes('down')) return final('unwanted', 'the channel tells no outages')
  if (unwanted) return final('unwanted', `the channel tells nothing of severity ${severity}`)
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
