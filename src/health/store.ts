import type { Queryable, Statement } from '../database/client.ts'

const select: Statement = { name: 'health_ping', text: 'SELECT 1 AS one' }

/** A round trip; rejects if the database does not answer. */
export async function pingDatabase(on: Queryable): Promise<void> {
  await on.query<{ one: number }>(select)
}
