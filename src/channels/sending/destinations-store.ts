// What all replicas share about the destination of a channel: how many more messages it accepts, and the pause that it
// has asked for. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'
import type { Allowance } from '../../kit/pace.ts'

const lock = statement(
  'channels_lock_pace',
  { id: 'uuid', left: 'float8?', at: 'timestamptz?' },
  'SELECT id, pace_left AS "left", pace_at AS at FROM channels WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE',
)

/**
 * Only channels that have been used; the others have their whole burst. In the order of ids, so that replicas cannot
 * deadlock.
 */
export async function lockAllowances(tx: Queryable, channelIds: readonly string[]): Promise<Map<string, Allowance>> {
  const rows = await tx.query(lock, [channelIds])
  return new Map(rows.flatMap(({ id, left, at }) => (left === null || at === null ? [] : [[id, { left, at }]])))
}

const write = statement(
  'channels_write_pace',
  `UPDATE channels c SET pace_left = p.left_over, pace_at = to_timestamp(p.at / 1000)
   FROM unnest($1::uuid[], $2::float8[], $3::float8[]) AS p(id, left_over, at) WHERE c.id = p.id`,
)

export async function writeAllowances(tx: Queryable, allowances: ReadonlyMap<string, Allowance>): Promise<void> {
  const all = [...allowances]
  await tx.query(write, [all.map(([id]) => id), all.map(([, { left }]) => left), all.map(([, { at }]) => at)])
}

const delay = statement(
  'channels_delay',
  'UPDATE channels SET retry_after_at = greatest(retry_after_at, to_timestamp($2::float8 / 1000)) WHERE id = $1',
)

/** No replica sends through the channel before `until`. */
export async function delayChannel(on: Queryable, channelId: string, until: number): Promise<void> {
  await on.query(delay, [channelId, until])
}
