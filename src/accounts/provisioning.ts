// A project that a file declares: found by its name or created, with the keys that the file has.

import { randomUUID } from 'node:crypto'
import type { Actor, WriteAudit } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import type { Queryable } from '../database/connection/client.ts'
import { generateKey, hashesOf } from './keys.ts'
import { selectRetiredBy } from './retired-addresses-store.ts'
import type { Keys } from './service.ts'
import * as store from './store.ts'

export type ProvisionedProject = { id: string; created: boolean; keys: store.KeyKind[] }

/**
 * In the caller's transaction. A new project gets a key of each kind: one that is not given is generated and shown to
 * nobody, so it has to be rotated before it can be used. `keys` of the answer are those that have changed.
 */
export async function provisionProject(
  tx: Queryable,
  options: { by: Actor; name: string; keys: Partial<Keys>; writeAudit: WriteAudit },
): Promise<ProvisionedProject> {
  const { by, name, keys, writeAudit } = options
  const existing = await store.selectProjectByName(tx, name)
  const id = existing ?? randomUUID()
  if (existing === null) {
    await store.insertProject(tx, id, name)
    await writeAudit(tx, { ...by, projectId: id, action: 'project.create', target: id, detail: { name } })
  }
  const changed: store.KeyKind[] = []
  for (const kind of store.keyKinds) {
    const given = keys[kind]
    if (given === undefined && existing !== null) continue
    if (given !== undefined) await refuseForeign(tx, id, kind, given)
    if (!(await store.writeKey(tx, id, kind, hashesOf(kind, given ?? generateKey(kind))))) continue
    if (existing === null) continue
    changed.push(kind)
    await writeAudit(tx, { ...by, projectId: id, action: 'project.write_key', target: id, detail: { kind } })
  }
  return { id, created: existing === null, keys: changed }
}

/** Jobs may still send with a ping key that was replaced, so it stays reserved for its project. */
async function refuseForeign(tx: Queryable, id: string, kind: store.KeyKind, key: string): Promise<void> {
  const { hash } = hashesOf(kind, key)
  const current = await store.selectKey(tx, hash)
  const refuse = (problem: string) => {
    throw new AppError('conflict', problem, { field: `keys.${kind}` })
  }
  if (current !== null && current.projectId !== id) refuse('belongs to another project')
  if (current !== null && current.kind !== kind) refuse(`is the ${current.kind} of this project`)
  const former = await selectRetiredBy(tx, 'ping_key', hash)
  if (former !== null && former !== id) refuse('was the ping key of another project')
}
