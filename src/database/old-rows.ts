// Deleting what is older than its retention: the owner of a table says which rows that are and how they are found, by
// an index and the oldest first; retention/ says when, and how many at once.

import type { Queryable } from './connection/client.ts'
import { instant, statement } from './sql.ts'

/** Deletes the oldest rows from before an instant in epoch milliseconds, at most `limit`; returns how many. */
export type DeleteOld = (tx: Queryable, before: number, limit: number) => Promise<number>

/** `text` deletes at most $2 rows from before `before`. */
export function deletionOfOld(table: string, text: (before: string) => string): DeleteOld {
  const deletion = statement(`${table}_delete_old`, { gone: 'int4' }, `${text(instant('$1'))} RETURNING 1 AS gone`)
  return async (tx, before, limit) => (await tx.query(deletion, [before, limit])).length
}
