// Every heartbeat passes here, of every dialect, before anything shares a batch with it, and once more when it comes out of a spool. Which
// column each of its parts ends in is said here once; what a column can hold is in core/columns.ts, made from the schema.

import { isIP } from 'node:net'
import { type Column, columns } from '../core/columns.ts'
import { AppError } from '../core/errors.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { brokenRule, cleanText } from '../core/storable.ts'
import type { Received } from './service.ts'

/** Parts that must be right, under the names that senders know; none may be changed without a word. */
const named: { field: string; column: Column; value: (received: Received) => unknown }[] = [
  { field: 'id', column: columns.heartbeat_keys.key, value: ({ key }) => key ?? '' },
  { field: 'rid', column: columns.heartbeats.rid, value: ({ rid }) => rid },
  { field: 'exit_status', column: columns.heartbeats.exit_status, value: ({ exitStatus }) => exitStatus },
  { field: 'at', column: columns.heartbeats.received_at, value: ({ at }) => at },
  { field: 'heartbeat', column: columns.heartbeats.id, value: ({ id }) => id },
]

/** The rule that a heartbeat breaks, with the field; null if each column can hold its part. */
export function problemOf(received: Received): { field: string; rule: string } | null {
  const rule = addressRule(received)
  if (rule !== null) return { field: 'check', rule }
  if (!signalKinds.includes(received.kind)) return { field: 'kind', rule: `must be one of ${signalKinds.join(', ')}` }
  for (const { field, column, value } of named) {
    const rule = brokenRule(column, value(received))
    if (rule !== null) return { field, rule }
  }
  return null
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
  const projects = [slug?.projectId ?? '', uploader?.projectId ?? ''].filter((projectId) => projectId !== '')
  for (const projectId of projects) {
    const rule = brokenRule(columns.monitors.project_id, projectId)
    if (rule !== null) return rule
  }
  const isLocated = slug === null || monitorId !== ''
  const idRule = isLocated ? brokenRule(columns.heartbeats.monitor_id, monitorId) : null
  return idRule ?? (slug === null ? null : brokenRule(columns.monitors.slug, slug.slug))
}

/** A zone (fe80::1%eth0) means nothing elsewhere. What is no address, as a proxy may pass it on, is none. */
function cleanAddress(address: string): string {
  const plain = address.includes('%') ? (address.split('%', 1)[0] as string) : address
  return isIP(plain) === 0 ? '' : plain
}
