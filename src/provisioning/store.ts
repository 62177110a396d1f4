import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

const lock = statement(
  'provisioning_lock',
  { locked: 'bool' },
  "SELECT pg_try_advisory_xact_lock(hashtextextended('provisioning', 0)) AS locked",
)

/** Until the end of the transaction no other replica applies a file. False if one does so now. */
export async function tryLock(tx: Queryable): Promise<boolean> {
  return (await tx.query(lock))[0]?.locked ?? false
}
