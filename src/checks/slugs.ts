// Finds checks by their slug, and creates those that do not exist yet. Any number of first pings, on any number of
// replicas, create one check: creation within a project is serialised, and the id is derived from project, slug and a
// counter, so a second one could not even be stored. An id is never used again, because a new check would then continue
// the history and the alerts of a deleted one.

import { randomUUID } from 'node:crypto'
import { v5 as uuidv5 } from 'uuid'
import type { WriteAudit } from '../audit/store.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { DatabaseSession } from '../database/service.ts'
import type { QuotaRefusal } from '../quotas/limits.ts'
import type { Quotas } from '../quotas/service.ts'
import { settingChanges } from './changes.ts'
import { defaultSettings } from './fields/fields.ts'
import { replaceChannels, selectChannelNames } from './relations/channels-store.ts'
import { claimId, type Slug, selectBySlugs, selectNamespace, selectUsedIds } from './slugs-store.ts'
import { insertCheck, serialise } from './store.ts'

/** `create` makes the check if there is none; who asked is for the audit log. */
export type SlugAddress = Slug & { create: boolean; requestId: string; address: string }

/**
 * `created` is true for the one address whose check was created now; a refusal means that the project may not have
 * another check.
 */
export type Located = { id: string; created: boolean } | QuotaRefusal | 'unknown' | 'ambiguous'

const idsAtOnce = 64
/**
 * The time limit of each statement of a creation: a long lock of one project must not delay the heartbeats of others.
 */
const serialisedLimitMs = 2000
const foreignKeyViolation = '23503'

export function createSlugs(options: {
  database: DatabaseSession
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitProvisioned'>
}) {
  const { database, writeAudit, quotas } = options

  async function find(on: Queryable, slugs: readonly Slug[]): Promise<Map<string, Located>> {
    const found = new Map<string, Located>()
    for (const { id, ...slug } of await selectBySlugs(on, slugs)) {
      found.set(keyOf(slug), found.has(keyOf(slug)) ? 'ambiguous' : { id, created: false })
    }
    return found
  }

  /** One transaction for each project: the others of a batch do not wait for its lock. */
  async function provision(addresses: readonly SlugAddress[]): Promise<Map<string, Located>> {
    const made = new Map<string, Located>()
    for (const [projectId, ofProject] of Map.groupBy(addresses, (address) => address.projectId)) {
      const located = await database
        .transaction(async (tx) => {
          await serialise(tx, projectId)
          const found = await find(tx, ofProject)
          const missing = ofProject.filter((address) => !found.has(keyOf(address)))
          if (missing.length === 0) return found
          const { admitted, refusal } = await quotas.admitProvisioned(tx, projectId, missing.length)
          for (const [i, address] of missing.entries())
            found.set(keyOf(address), i < admitted ? { id: await create(tx, address), created: true } : refusal)
          return found
        }, serialisedLimitMs)
        .catch((error: { code?: string }) => {
          // The project was deleted while its key was still cached.
          if (error.code === foreignKeyViolation) return new Map<string, Located>()
          throw error
        })
      for (const [key, value] of located) made.set(key, value)
    }
    return made
  }

  async function create(tx: Queryable, { projectId, slug, requestId, address }: SlugAddress): Promise<string> {
    const id = await unusedId(tx, projectId, slug)
    const settings = { ...defaultSettings, name: slug, slug }
    await insertCheck(tx, { id, projectId, badgeKey: randomUUID(), createdAt: database.clock.now(), settings })
    const channels = await selectChannelNames(tx, projectId)
    await replaceChannels(
      tx,
      id,
      channels.map((channel) => channel.id),
    )
    const { after } = settingChanges(defaultSettings, settings)
    const by = { actor: 'ping_key', requestId, address }
    await writeAudit(tx, { ...by, projectId, action: 'check.create', target: id, detail: { after } })
    return id
  }

  /** The id with the smallest counter that was never used. */
  async function unusedId(tx: Queryable, projectId: string, slug: string): Promise<string> {
    const namespace = await selectNamespace(tx)
    for (let first = 0; ; first += idsAtOnce) {
      const ids = Array.from({ length: idsAtOnce }, (_, i) => uuidv5(`${projectId}/${slug}/${first + i}`, namespace))
      const used = await selectUsedIds(tx, ids)
      for (const id of ids) if (!used.has(id) && (await claimId(tx, id))) return id
    }
  }

  return {
    /** The check of each address. */
    async locate(addresses: readonly SlugAddress[]): Promise<Located[]> {
      const distinct = new Map(addresses.map((address) => [keyOf(address), address]))
      const found = await find(database, [...distinct.values()])
      const wanted = addresses.filter((address) => address.create && !found.has(keyOf(address)))
      const firsts = new Map(wanted.toReversed().map((address) => [keyOf(address), address]))
      const made = firsts.size > 0 ? await provision([...firsts.values()]) : new Map<string, Located>()
      return addresses.map((address) => {
        const key = keyOf(address)
        const located = found.get(key) ?? made.get(key) ?? 'unknown'
        if (typeof located === 'string' || 'quota' in located) return located
        return { id: located.id, created: located.created && firsts.get(key) === address }
      })
    },
  }
}

function keyOf({ projectId, slug }: Slug): string {
  return `${projectId}/${slug}`
}
