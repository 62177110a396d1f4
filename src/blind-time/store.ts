import type { BlindWindow } from '../core/blind-time.ts'
import type { Statement } from '../database/client.ts'
import type { Database } from '../database/service.ts'

const statement = (name: string, text: string): Statement => ({ name: `blind_time_${name}`, text })

const lock = statement(
  'lock',
  `SELECT until_at AS until, extract(epoch FROM clock_timestamp())::float8 * 1000 AS now FROM acceptance WHERE id = 1 FOR UPDATE`,
)
const first = statement(
  'first',
  'INSERT INTO acceptance (id, until_at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO NOTHING',
)
const extend = statement(
  'extend',
  'UPDATE acceptance SET until_at = to_timestamp($1::float8 / 1000) WHERE id = 1 AND until_at < to_timestamp($1::float8 / 1000)',
)
const insert = statement(
  'insert',
  `INSERT INTO blind_windows (from_at, to_at) VALUES (to_timestamp($1::float8 / 1000), to_timestamp($2::float8 / 1000))
   ON CONFLICT (from_at) DO UPDATE SET to_at = greatest(blind_windows.to_at, EXCLUDED.to_at)`,
)
const all = statement('all', 'SELECT from_at AS "from", to_at AS "to" FROM blind_windows ORDER BY from_at')

/**
 * Records that heartbeats are accepted now, by the database's clock. If nobody has recorded it for longer than
 * `blindAfterMs`, that gap becomes a window; the row's lock makes one replica alone find it. Returns all windows.
 */
export async function recordAcceptance(database: Database, blindAfterMs: number): Promise<BlindWindow[]> {
  return database.transaction(async (tx) => {
    const [row] = await tx.query<{ until: number; now: number }>(lock)
    if (row === undefined) await tx.query(first)
    else {
      if (row.now - row.until > blindAfterMs) await tx.query(insert, [row.until, row.now])
      await tx.query(extend, [row.now])
    }
    return tx.query<BlindWindow>(all)
  })
}
