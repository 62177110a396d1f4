// Says which differences people have made since a file was last applied. The audit log has the last change of each
// object: if that was not made by a file, the object has drifted.

import type { ProvisionedProject } from '../accounts/provisioning.ts'
import { type AuditFilter, selectAudit } from '../audit/store.ts'
import type { Queryable } from '../database/connection/client.ts'
import { isoMillis } from '../kit/instant.ts'
import type { ProvisionedItem } from './service.ts'

/** The actor of audit entries. */
export const provisioner = 'provisioning'

export type LastChange = { by: string; at: string }

export type Drift = Awaited<ReturnType<typeof createDrift>>

/** A query for each; beyond this many differences the file is new rather than people busy. */
const explainedMax = 200
const deletionsMax = 200

/** Entries that are written later in the transaction are not considered. */
export async function createDrift(tx: Queryable) {
  const [newest] = await selectAudit(tx, {}, 1)
  const before = (newest?.id ?? 0) + 1
  const read = (filter: AuditFilter, limit: number) => selectAudit(tx, { ...filter, before }, limit)

  async function lastChange(projectId: string, target: string): Promise<LastChange | null> {
    const [last] = await read({ projectId, target }, 1)
    return last === undefined || last.actor === provisioner ? null : { by: last.actor, at: isoMillis(last.at) }
  }

  /** The deletion of something with this name. */
  async function deletion(projectId: string, kind: string, name: string): Promise<LastChange | null> {
    const all = await read({ projectId, action: `${kind}.delete` }, deletionsMax)
    const found = all.find(({ detail }) => (detail?.before as { name?: string } | undefined)?.name === name)
    return found === undefined ? null : { by: `${found.actor} (deleted)`, at: isoMillis(found.at) }
  }

  return {
    async explain(project: ProvisionedProject, items: readonly ProvisionedItem[]): Promise<ProvisionedItem[]> {
      if (project.created) return [...items]
      const explained: ProvisionedItem[] = []
      let asked = 0
      for (const item of items) {
        const { action, kind, id, name } = item
        const isChange = action === 'updated' || action === 'created'
        if (!isChange || ++asked > explainedMax) explained.push(item)
        else if (action === 'updated') explained.push({ ...item, drift: await lastChange(project.id, id) })
        else explained.push({ ...item, drift: await deletion(project.id, kind, name) })
      }
      return explained
    },
  }
}
