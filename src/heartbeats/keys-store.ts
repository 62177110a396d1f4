import type { Queryable, Statement } from '../database/client.ts'

/** What the sender of a heartbeat calls it, for its monitor. */
export type HeartbeatKey = { monitorId: string; key: string }

const statement = (name: string, text: string): Statement => ({ name: `heartbeat_keys_${name}`, text })

const known = statement(
  'known',
  `SELECT k.monitor_id AS "monitorId", k.key FROM unnest($1::uuid[], $2::text[]) AS given(monitor_id, key)
   JOIN heartbeat_keys k ON k.monitor_id = given.monitor_id AND k.key = given.key`,
)

/** Those that have been recorded already. Sure only while the monitors are locked. */
export async function selectKnownKeys(tx: Queryable, keys: readonly HeartbeatKey[]): Promise<HeartbeatKey[]> {
  if (keys.length === 0) return []
  return tx.query<HeartbeatKey>(known, [keys.map(({ monitorId }) => monitorId), keys.map(({ key }) => key)])
}

const insert = statement(
  'insert',
  `INSERT INTO heartbeat_keys (monitor_id, key) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING`,
)

export async function insertKeys(tx: Queryable, keys: readonly HeartbeatKey[]): Promise<void> {
  if (keys.length > 0) await tx.query(insert, [keys.map(({ monitorId }) => monitorId), keys.map(({ key }) => key)])
}
