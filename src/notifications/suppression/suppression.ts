// Why an alert is not sent: a pure decision. Some reasons pass, and the alerts that they held back are checked again
// then: an outage that goes on is sent as a reminder. A recovery goes to every channel that got its outage, for
// whatever reason it could be suppressed now, or an incident would stay open for ever.

import type { CheckSeverity, WantedAlerts } from '../../channels/wanted-alerts.ts'
import { quietUntil } from '../../core/quiet-hours.ts'

export type Told = 'told' | 'held' | 'no'

/** What is known at the moment of an attempt. Instants in epoch milliseconds. */
export type Circumstances = {
  event: 'down' | 'up' | 'reminder' | 'escalation'
  alerts: WantedAlerts
  severity: CheckSeverity | null
  /** The outage of this delivery, or before this recovery: whether it lasts, whether it was acknowledged, who was told. */
  goesOn: boolean
  acknowledged: boolean
  told: Told
  parentIsDown: boolean
  maintenance: { name: string; until: number } | null
  snoozedUntil: number | null
  /** Within the last hour. */
  outages: number
  outagesMax: number
}

export type Hold = 'parent' | 'maintenance' | 'snooze' | 'flapping' | 'quiet_hours'

/** `until` is when to look again, null if the reason does not pass. */
export type Suppression = { reason: string; held: Hold | null; until: number | null }

/** A check without one is taken seriously. */
const severityDefault: CheckSeverity = 'critical'
const parentPauseMs = 15_000
const flappingPauseMs = 60_000

export function suppressionOf(facts: Circumstances, now: number): Suppression | null {
  const { event, alerts } = facts
  const severity = facts.severity ?? severityDefault
  const unwanted = alerts.severities !== undefined && !alerts.severities.includes(severity)
  const wanted = alerts.events ?? ['down', 'up']
  if (event === 'up') {
    if (!wanted.includes('up')) return final('the channel tells no recoveries')
    if (facts.told === 'held') return final('nobody was told that the check was down')
    return unwanted && facts.told !== 'told' ? final(`the channel tells nothing of severity ${severity}`) : null
  }
  if (!wanted.includes('down')) return final('the channel tells no outages')
  if (unwanted) return final(`the channel tells nothing of severity ${severity}`)
  if (event !== 'down' && !facts.goesOn) return final('the check recovered')
  if (event !== 'down' && facts.acknowledged) return final('the outage was acknowledged')
  return hold(facts, now)
}

function final(reason: string): Suppression {
  return { reason, held: null, until: null }
}

function hold({ alerts, ...facts }: Circumstances, now: number): Suppression | null {
  if (facts.parentIsDown) return { reason: 'the parent check was down', held: 'parent', until: now + parentPauseMs }
  if (facts.maintenance) {
    const { name, until } = facts.maintenance
    return { reason: `maintenance: ${name}`, held: 'maintenance', until }
  }
  if (facts.snoozedUntil !== null && facts.snoozedUntil > now)
    return { reason: 'the check was snoozed', held: 'snooze', until: facts.snoozedUntil }
  if (facts.outagesMax > 0 && facts.outages > facts.outagesMax)
    return { reason: 'the check was flapping', held: 'flapping', until: now + flappingPauseMs }
  const until = alerts.quiet_hours === undefined ? null : quietUntil(alerts.quiet_hours, now)
  return until === null ? null : { reason: 'the channel had quiet hours', held: 'quiet_hours', until }
}
