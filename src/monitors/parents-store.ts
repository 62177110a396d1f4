// Which monitor is whose parent.

import type { Queryable, Statement } from '../database/client.ts'

const statement = (name: string, text: string): Statement => ({ name: `monitors_${name}`, text })

const lineage = statement(
  'lineage',
  `WITH RECURSIVE up AS (
     SELECT id, parent_id FROM monitors WHERE id = $2 AND project_id = $1
     UNION SELECT m.id, m.parent_id FROM monitors m JOIN up ON m.id = up.parent_id WHERE m.project_id = $1)
   SELECT id FROM up`,
)

/** The monitor and its ancestors; empty if the project has no such monitor. */
export async function selectLineage(on: Queryable, projectId: string, id: string): Promise<string[]> {
  return (await on.query<{ id: string }>(lineage, [projectId, id])).map((row) => row.id)
}

const clear = statement('clear_parent', 'UPDATE monitors SET parent_id = NULL WHERE project_id = $1 AND parent_id = $2')

/** The children of a monitor that is deleted have none any more. */
export async function clearParent(tx: Queryable, projectId: string, id: string): Promise<void> {
  await tx.query(clear, [projectId, id])
}
