// Reads and clears which check is the parent of another.

import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

const place = statement(
  'checks_place_below',
  { known: 'bool', cycle: 'bool' },
  `WITH RECURSIVE up AS (
     SELECT id, parent_id FROM checks WHERE id = $2 AND project_id = $1
     UNION SELECT m.id, m.parent_id FROM checks m JOIN up ON m.id = up.parent_id
       WHERE m.project_id = $1 AND $3::uuid IS NOT NULL)
   SELECT count(*) > 0 AS known, coalesce(bool_or(id = $3), false) AS cycle FROM up`,
)

/**
 * Whether the check `parent` belongs to the project, and whether `id` is it or one of its ancestors. A new check has no
 * id and no descendants, so without `id` the ancestors, which may be thousands, are not read.
 */
export async function selectPlaceBelow(
  on: Queryable,
  projectId: string,
  parent: string,
  id: string | null,
): Promise<{ known: boolean; cycle: boolean }> {
  const [row] = await on.query(place, [projectId, parent, id])
  return row ?? { known: false, cycle: false }
}

const clear = statement(
  'checks_clear_parent',
  'UPDATE checks SET parent_id = NULL WHERE project_id = $1 AND parent_id = $2',
)

/** The children of a deleted check have no parent any more. */
export async function clearParent(tx: Queryable, projectId: string, id: string): Promise<void> {
  await tx.query(clear, [projectId, id])
}
