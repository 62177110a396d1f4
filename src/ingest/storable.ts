// Checks every heartbeat of every dialect before it joins a batch, and again when it comes out of a spool. This page
// says which column each field of a heartbeat goes to; what a column can hold is in core/columns.ts, which is made from
// the schema.

import { isIP } from 'node:net'
import { columns } from '../core/columns.ts'
import { AppError } from '../core/errors.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { brokenRule, cleanText } from '../core/storable.ts'
import type { Received } from './service.ts'

/** The field and the rule that a heartbeat breaks; null if each column can hold its value. */
export function problemOf(received: Received): { field: string; rule: string } | null {
  const { at, kind, key, rid, exitStatus } = received
  const problem = (field: string, rule: string | null) => (rule === null ? null : { field, rule })
  return (
    problem('check', addressRule(received)) ??
    problem('kind', signalKinds.includes(kind) ? null : `must be one of ${signalKinds.join(', ')}`) ??
    (key === null ? null : problem('id', brokenRule(columns.heartbeat_keys.key, key))) ??
    (rid === null ? null : problem('rid', brokenRule(columns.heartbeats.rid, rid))) ??
    (exitStatus === null ? null : problem('exit_status', brokenRule(columns.heartbeats.exit_status, exitStatus))) ??
    problem('at', brokenRule(columns.heartbeats.received_at, at))
  )
}

/** Cleans values that the sender does not choose; throws `bad_request` with field and rule for values that it does. */
export function storable(received: Received): Received {
  const problem = problemOf(received)
  if (problem !== null) throw new AppError('bad_request', `${problem.field} ${problem.rule}`, { field: problem.field })
  const { slug } = received
  received.scheme = cleanText(columns.heartbeats.scheme, received.scheme)
  received.method = cleanText(columns.heartbeats.method, received.method)
  received.remoteAddr = cleanAddress(received.remoteAddr)
  received.ua = cleanText(columns.heartbeats.ua, received.ua)
  received.requestId = cleanText(columns.flips.request_id, received.requestId)
  if (slug !== null) received.slug = { ...slug, requestId: received.requestId, address: cleanAddress(slug.address) }
  return received
}

/** A project is empty until it has been looked up, a check until its slug has been looked up. */
function addressRule({ checkId, slug, uploader }: Received): string | null {
  return (
    projectRule(slug?.projectId) ??
    projectRule(uploader?.projectId) ??
    (slug === null || checkId !== '' ? brokenRule(columns.heartbeats.check_id, checkId) : null) ??
    (slug === null ? null : brokenRule(columns.checks.slug, slug.slug))
  )
}

function projectRule(projectId: string | undefined): string | null {
  return projectId === undefined || projectId === '' ? null : brokenRule(columns.checks.project_id, projectId)
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
