// The history of Flatline's alerts about itself. Instants in epoch milliseconds.

import type { Queryable } from '../database/connection/client.ts'
import { instant, statement } from '../database/sql.ts'

export type ServiceAlert = {
  id: number
  at: number
  node: string
  rule: string
  level: 'INFO' | 'WARNING' | 'CRITICAL' | 'RESOLVED'
  text: string
}

const insert = statement(
  'service_alerts_insert',
  { id: 'int4' },
  `INSERT INTO service_alerts (at, node, rule, level, text) VALUES (${instant('$1')}, $2, $3, $4, left($5, 500)) RETURNING id`,
)

export async function insertServiceAlert(tx: Queryable, alert: Omit<ServiceAlert, 'id'>): Promise<number> {
  const { at, node, rule, level, text } = alert
  return (await tx.query(insert, [at, node, rule, level, text]))[0]?.id ?? 0
}

const sweep = statement('service_alerts_sweep', 'DELETE FROM service_alerts WHERE id <= $1')

/** Deletes all entries up to and including this one. */
export async function deleteUntil(tx: Queryable, id: number): Promise<void> {
  await tx.query(sweep, [id])
}

const list = statement<ServiceAlert>(
  'service_alerts_list',
  { id: 'int4', at: 'timestamptz', node: 'text', rule: 'text', level: 'text', text: 'text' },
  `SELECT id, at, node, rule, level, text FROM service_alerts WHERE $1::int IS NULL OR id < $1 ORDER BY id DESC LIMIT $2`,
)

/** Newest first, from the entry before the one with the id `before`. */
export async function selectServiceAlerts(
  on: Queryable,
  before: number | null,
  limit: number,
): Promise<ServiceAlert[]> {
  return on.query(list, [before, limit])
}

const latest = statement<ServiceAlert>(
  'service_alerts_latest',
  { id: 'int4', at: 'timestamptz', node: 'text', rule: 'text', level: 'text', text: 'text' },
  'SELECT DISTINCT ON (rule) id, at, node, rule, level, text FROM service_alerts WHERE node = $1 ORDER BY rule, id DESC',
)

/** The latest entry for each rule of this node. */
export async function selectLatest(on: Queryable, node: string): Promise<ServiceAlert[]> {
  return on.query(latest, [node])
}
