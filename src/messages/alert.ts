// A message in plain words: the same facts for every transport, which only formats them. Pure.

import type { CheckView } from '../checks/view.ts'
import type { FlipReason } from '../core/status.ts'
import { isBlank } from '../kit/characters.ts'
import { nextDue } from '../schedule/schedule.ts'
import type { CheckMessage, Message, NoticeMessage, Severity } from './message.ts'
import { placeholdersOf } from './placeholders.ts'
import { cut, durationText, instantText, oneLine, readable, tail } from './text.ts'

type Fact = { label: string; value: string }
type AlertLink = { label: string; url: string }

export type Alert = {
  severity: Severity
  /** The title: what happened, in one line. */
  title: string
  /** The text: why it happened, in one or two sentences. */
  text: string
  facts: Fact[]
  /** The end of the job's last output. */
  output: string | null
  links: AlertLink[]
  /** Epoch milliseconds. */
  at: number
  /** The subject: the name of the check, or Flatline. */
  source: string
  /** The name of its project; empty if it has none. */
  project: string
  tags: string[]
  incident: string
  /** Whether the message opens the incident, ends it or only informs. */
  phase: 'open' | 'resolved' | 'info'
  deliveryId: string
}

/**
 * The text of the channel's owner in place of Flatline's, with placeholders. A body replaces everything below the
 * title.
 */
export type Templates = { title?: string | undefined; body?: string | undefined }

const outputMax = 1000
const namedMax = 10
const notesMax = 500
const titleMax = 300
/** The limit of a filled-in template. Vendors show less: each transport cuts to its own limit. */
const filledTextMax = 10_000

export function alertOf(message: Message, now: number, templates: Templates = {}): Alert {
  const alert = message.event === 'notice' ? noticeAlert(message) : checkAlert(message, now)
  return message.event === 'notice' || message.others ? alert : { ...alert, ...overridden(message, templates) }
}

/**
 * A template that is blank after filling in (for example because the job printed nothing) replaces nothing: vendors
 * refuse blank messages.
 */
function overridden(message: CheckMessage, { title = '', body = '' }: Templates): Partial<Alert> {
  const fill = placeholdersOf(message, message.event === 'up' ? 'up' : 'down')
  const ownTitle = cut(oneLine(fill.body(title, filledTextMax)), titleMax)
  const ownText = readable(fill.body(body, filledTextMax))
  return {
    ...(!isBlank(ownTitle) && { title: ownTitle }),
    ...(!isBlank(ownText) && { text: ownText, facts: [], output: null }),
  }
}

function noticeAlert({ notice, incident, delivery, links }: NoticeMessage): Alert {
  const { severity, title, text, facts = [] } = notice
  return {
    severity,
    title: oneLine(title),
    text: readable(text),
    facts: facts.map(({ label, value }) => ({ label, value: oneLine(value) })),
    output: null,
    links: linksOf(links),
    at: Date.parse(notice.at),
    source: 'Flatline',
    project: '',
    tags: [],
    incident,
    phase: severity === 'resolved' ? 'resolved' : severity === 'info' ? 'info' : 'open',
    deliveryId: delivery.id,
  }
}

function checkAlert(message: CheckMessage, now: number): Alert {
  const { event, check, flip, others = [], incident, delivery, lastPing } = message
  const output = lastPing?.body ? outputOf(lastPing.body) : ''
  return {
    severity: event === 'up' ? 'resolved' : event === 'test' ? 'info' : (message.severity ?? 'critical'),
    title: others.length > 0 ? groupTitle(message, others) : titleOf(message),
    text: event === 'test' ? testText : whyText(message),
    facts: event === 'test' ? [] : others.length > 0 ? groupFacts(message, others) : factsOf(message, now),
    output: isBlank(output) || others.length > 0 ? null : output,
    links: others.length > 0 ? groupLinks(message) : linksOf(message.links),
    at: Date.parse(flip.at),
    source: nameOf(check),
    project: cut(oneLine(message.project ?? ''), 100),
    tags: oneLine(check.tags).split(/\s+/).filter(Boolean),
    incident,
    phase: event === 'up' ? 'resolved' : 'open',
    deliveryId: delivery.id,
  }
}

// --- what ---------------------------------------------------------------------------------------------------------

const testText = 'This is a test. When a check goes down or recovers, you will be notified here.'

function titleOf({ event, check, outage }: CheckMessage): string {
  if (event === 'test') return 'Test of this channel'
  if (event === 'reminder') return `${nameOf(check)} is still down`
  if (event === 'down') return `${nameOf(check)} is down`
  return outage?.untold ? `${nameOf(check)} was down and is up again` : `${nameOf(check)} is up again`
}

function groupTitle(message: CheckMessage, others: NonNullable<CheckMessage['others']>): string {
  const all = [message, ...others]
  const up = all.filter(({ flip }) => flip.to === 'up').length
  const counts = [up < all.length && `${all.length - up} down`, up > 0 && `${up} up again`].filter(Boolean)
  return `${all.length} checks changed: ${counts.join(', ')}`
}

export function nameOf(check: Pick<CheckView, 'id' | 'name' | 'slug'>): string {
  const name = oneLine(check.name)
  return cut(isBlank(name) ? check.slug || `Check ${check.id.slice(0, 8)}` : name, 100)
}

// --- why ----------------------------------------------------------------------------------------------------------

const reasons: Record<string, string> = {
  timeout: 'No heartbeat came in time.',
  overrun: 'A run took longer than it may.',
  too_short: 'A run ended sooner than it may.',
  fail: 'The job reported a failure.',
  recovered: 'A heartbeat came: the job works again.',
  paused: 'The check was paused.',
  resumed: 'The check is watched again.',
  corrected: 'Heartbeats that arrived late correct the last alert.',
}

export function reasonText(reason: FlipReason): string {
  return reasons[reason] ?? `The job ended with ${reason.replace('exit', 'exit status')}.`
}

function whyText({ flip, outage, escalated, reminder, others, blind, unheard }: CheckMessage): string {
  if (others) return 'Many checks changed at about the same time.'
  const before = outage ? `Before, it was down: ${lowered(reasonText(outage.reason))}` : ''
  const unacknowledged = escalated ? 'Nobody has acknowledged it yet.' : ''
  const times = reminder ? `This is reminder ${reminder}.` : ''
  const doubt = blind
    ? `Flatline itself could not receive heartbeats from ${atText(blind.from)} to ${atText(blind.to)}, so one may have been lost then.`
    : ''
  const missing = unheard
    ? `The replica ${unheard.replica} of Flatline has not been heard since ${atText(unheard.since)} and may have received one.`
    : ''
  return [reasonText(flip.reason), before, unacknowledged, times, doubt, missing].filter(Boolean).join(' ')
}

const lowered = (sentence: string) => sentence.charAt(0).toLowerCase() + sentence.slice(1)

// --- the facts ----------------------------------------------------------------------------------------------------

function factsOf(message: CheckMessage, now: number): Fact[] {
  const { event, check, flip, outage, escalated, lastPing } = message
  const since = Date.parse(flip.at)
  const exit = lastPing?.exitStatus
  const facts: [label: string, value: string | false | undefined][] = [
    [event === 'up' ? 'Up since' : 'Down since', instantText(since)],
    ['Down for', (event === 'reminder' || escalated) && durationText(now - since)],
    ['Was down for', outage && `${durationText(since - Date.parse(outage.at))}, since ${atText(outage.at)}`],
    ['Exit status', event !== 'up' && exit != null && String(exit)],
    ['Last heartbeat', event !== 'up' && (check.lastPing === null ? 'none yet' : instantText(check.lastPing))],
    ['Expected', expectation(check)],
    ['Next expected', nextExpected(message, now)],
    ['Tags', oneLine(check.tags)],
    ['Notes', cut(readable(cut(check.desc, 4 * notesMax)), notesMax)],
  ]
  return facts.flatMap(([label, value]) => (value && !isBlank(value) ? [{ label, value }] : []))
}

function groupFacts(message: CheckMessage, others: NonNullable<CheckMessage['others']>): Fact[] {
  const all = [message, ...others]
  const named = all.slice(0, namedMax).map(({ check, flip }) => ({
    label: nameOf(check),
    value: `${flip.to} since ${atText(flip.at)}. ${reasonText(flip.reason)}`,
  }))
  return all.length > namedMax ? [...named, { label: 'And', value: `${all.length - namedMax} more` }] : named
}

/** A link to acknowledge the first would look like one to acknowledge all. */
function groupLinks({ check, links }: CheckMessage): AlertLink[] {
  return links?.check ? [{ label: `Open ${nameOf(check)}`, url: links.check }] : []
}

export function expectation({ schedule, graceS }: Pick<CheckView, 'schedule' | 'graceS'>): string {
  const grace = graceS > 0 ? `, with ${durationText(graceS * 1000)} of grace` : ''
  if (schedule.kind !== 'simple') return `${oneLine(schedule.schedule)} (${schedule.tz})${grace}`
  return `every ${durationText(schedule.timeoutS * 1000).replace(/^1 (?=\w+$)/, '')}${grace}`
}

/** A check that is down has a next moment only if it follows a calendar; otherwise its heartbeat is overdue. */
function nextExpected({ event, check }: CheckMessage, now: number): string | undefined {
  if (event === 'up') return check.nextPing === null ? undefined : instantText(check.nextPing)
  if (check.schedule.kind === 'simple') return undefined
  const due = nextDue(check.schedule, now)
  return due === null ? undefined : instantText(due)
}

function outputOf(body: Buffer): string {
  // A character has at most four bytes; half a character at the start is dropped.
  const end = body.subarray(Math.max(0, body.length - 4 * outputMax))
  return tail(readable(end.toString('utf8').replace(/^\uFFFD+/, '')), outputMax)
}

function linksOf({ check, acknowledge, snooze, confirm }: NonNullable<Message['links']> = {}): AlertLink[] {
  const links: [label: string, url: string | undefined][] = [
    ['Open the check', check],
    ['Acknowledge', acknowledge],
    ['Snooze', snooze],
    ['Confirm this address', confirm],
  ]
  return links.flatMap(([label, url]) => (url ? [{ label, url }] : []))
}

const atText = (iso: string) => instantText(Date.parse(iso))
