import type { BlindWindow } from '../core/blind-time.ts'
import type { Queryable, Statement } from '../database/client.ts'

const statement = (name: string, text: string): Statement => ({ name: `blind_time_${name}`, text })

// One statement, because the row is everybody's: a replica that is stopped in the middle of a transaction would hold its
// lock, and nobody could record, detect or accept for as long as it stands still. The right-hand sides see the row as it
// was, so that of several replicas exactly one sees a gap.
const record = statement(
  'record',
  `WITH recorded AS (
     INSERT INTO acceptance (id, previous_at, until_at) VALUES (1, clock_timestamp(), clock_timestamp())
     ON CONFLICT (id) DO UPDATE SET previous_at = acceptance.until_at, until_at = clock_timestamp()
     RETURNING previous_at, until_at)
   INSERT INTO blind_windows (from_at, to_at)
   SELECT previous_at, until_at FROM recorded WHERE until_at - previous_at > $1::float8 * interval '1 millisecond'
   ON CONFLICT (from_at) DO UPDATE SET to_at = greatest(blind_windows.to_at, EXCLUDED.to_at)`,
)
const all = statement('all', 'SELECT from_at AS "from", to_at AS "to" FROM blind_windows ORDER BY from_at')

/**
 * Records that heartbeats are accepted now, by the database's clock. If nobody has recorded it for longer than
 * `blindAfterMs`, that gap becomes a window. Returns all windows.
 */
export async function recordAcceptance(on: Queryable, blindAfterMs: number): Promise<BlindWindow[]> {
  await on.query(record, [blindAfterMs])
  return on.query<BlindWindow>(all)
}
