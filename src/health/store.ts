import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

const select = statement('health_ping', { one: 'int4' }, 'SELECT 1 AS one')

/** A round trip; rejects if the database does not answer. */
export async function pingDatabase(on: Queryable): Promise<void> {
  await on.query(select)
}
