// Every heartbeat passes here, of every dialect, before anything shares a batch with it, and once more when it comes out of a spool. Which
// column each of its parts ends in is said here once; what a column can hold is in core/columns.ts, made from the schema.

import { isIP } from 'node:net'
import { columns } from '../core/columns.ts'
import { AppError } from '../core/errors.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { brokenRule, cleanText } from '../core/storable.ts'
import type { Received } from './service.ts'

/** The rule that a heartbeat breaks, with the field; null if each column can hold its part. Nearly all of them are well, and cost little. */
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

/** Cleans what the sender cannot help; throws `bad_request` with field and rule for what it said itself. */
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

/** A project is empty until it has been asked for, a check until its slug has been looked up. */
function addressRule({ monitorId, slug, uploader }: Received): string | null {
  return (
    projectRule(slug?.projectId) ??
    projectRule(uploader?.projectId) ??
    (slug === null || monitorId !== '' ? brokenRule(columns.heartbeats.monitor_id, monitorId) : null) ??
    (slug === null ? null : brokenRule(columns.monitors.slug, slug.slug))
  )
}

function projectRule(projectId: string | undefined): string | null {
  return projectId === undefined || projectId === '' ? null : brokenRule(columns.monitors.project_id, projectId)
}

/** The senders of a flood are few: the last one is known to be an address. */
let lastAddress = ''

/** A zone (fe80::1%eth0) means nothing elsewhere. What is no address, as a proxy may pass it on, is none. */
function cleanAddress(address: string): string {
  if (address === lastAddress) return address
  const plain = address.includes('%') ? (address.split('%', 1)[0] as string) : address
  if (isIP(plain) === 0) return ''
  lastAddress = plain
  return plain
}
