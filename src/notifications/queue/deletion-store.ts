// Deletes deliveries: old ones, and those about a deleted check.

import type { Queryable } from '../../database/connection/client.ts'
import { deletionOfOld } from '../../database/old-rows.ts'
import { statement } from '../../database/sql.ts'

export const deleteOldDeliveries = deletionOfOld(
  'deliveries',
  (before) => `DELETE FROM deliveries WHERE (subject_id, id) IN (
     SELECT subject_id, id FROM deliveries WHERE finished_at < ${before} ORDER BY finished_at LIMIT $2)`,
)

const remove = [
  statement('notifications_delete_acknowledgements', 'DELETE FROM acknowledgements WHERE check_id = $1'),
  statement('notifications_delete_deliveries', 'DELETE FROM deliveries WHERE subject_id = $1'),
]

/** Deletes the deliveries about a check, and its acknowledgements. */
export async function deleteOfCheck(tx: Queryable, checkId: string): Promise<void> {
  for (const each of remove) await tx.query(each, [checkId])
}
