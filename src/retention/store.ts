import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

const tryLock = statement(
  'retention_lock',
  { locked: 'bool' },
  'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked',
)

/** Until the end of the transaction; false if another replica deletes from the table at this moment. */
export async function lockSweep(tx: Queryable, table: string): Promise<boolean> {
  return (await tx.query(tryLock, [`retention/${table}`]))[0]?.locked ?? false
}
