// Checks every heartbeat of every dialect before it joins a batch, and again when it is read from a spool. This file
// names the column of each field; core/columns.ts, which is generated from the schema, says what a column can hold.

import { isIP } from 'node:net'
import { columns } from '../core/columns.ts'
import { AppError } from '../core/errors.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { brokenRule, cleanText } from '../core/storable.ts'
import { projectIdOf, type Received, type Sender, type Target } from './signal.ts'

/** The field and the rule that a heartbeat breaks; null if each column can hold its value. */
export function problemOf(received: Received): { field: string; rule: string } | null {
  const { at, kind, dedupeKey, rid, exitStatus, target } = received
  const problem = (field: string, rule: string | null) => (rule === null ? null : { field, rule })
  return (
    problem('check', targetRule(target)) ??
    problem('kind', signalKinds.includes(kind) ? null : `must be one of ${signalKinds.join(', ')}`) ??
    (dedupeKey === null ? null : problem('id', brokenRule(columns.heartbeat_keys.key, dedupeKey))) ??
    (rid === null ? null : problem('rid', brokenRule(columns.heartbeats.rid, rid))) ??
    (exitStatus === null ? null : problem('exit_status', brokenRule(columns.heartbeats.exit_status, exitStatus))) ??
    problem('at', brokenRule(columns.heartbeats.received_at, at))
  )
}

/**
 * Cleans values that the sender does not choose; throws `bad_request` with field and rule for values that the sender
 * chooses.
 */
export function storable(received: Received): Received {
  const problem = problemOf(received)
  if (problem !== null) throw new AppError('bad_request', `${problem.field} ${problem.rule}`, { field: problem.field })
  const requestId = cleanText(columns.flips.request_id, received.requestId)
  return { ...received, sender: cleanSender(received.sender), requestId }
}

function targetRule(target: Target): string | null {
  const projectId = projectIdOf(target)
  const projectRule = projectId === null ? null : brokenRule(columns.checks.project_id, projectId)
  if (projectRule !== null) return projectRule
  if (target.by === 'token') return brokenRule(columns.checks.push_token, target.token)
  return target.by === 'slug'
    ? brokenRule(columns.checks.slug, target.slug)
    : brokenRule(columns.heartbeats.check_id, target.checkId)
}

/** The last sender, cached because the heartbeats of an upload share one. */
let lastSender: { given: Sender; cleaned: Sender } | null = null

function cleanSender(given: Sender): Sender {
  if (lastSender?.given === given) return lastSender.cleaned
  const { scheme, method, ua } = columns.heartbeats
  const cleaned = {
    address: cleanAddress(given.address),
    remoteAddr: cleanAddress(given.remoteAddr),
    scheme: cleanText(scheme, given.scheme),
    method: cleanText(method, given.method),
    ua: cleanText(ua, given.ua),
  }
  lastSender = { given, cleaned }
  return cleaned
}

/** The last valid address. A flood has few senders, so most addresses need not be parsed. */
let lastAddress = ''

/**
 * Without the zone (fe80::1%eth0), which means nothing elsewhere. Empty for what is not an address, which a proxy may
 * pass on.
 */
function cleanAddress(address: string): string {
  if (address === lastAddress) return address
  const plain = address.includes('%') ? (address.split('%', 1)[0] as string) : address
  if (isIP(plain) === 0) return ''
  lastAddress = plain
  return plain
}
