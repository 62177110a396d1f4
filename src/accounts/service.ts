import { randomUUID, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Actor, WriteAudit } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { Database } from '../database/service.ts'
import { atMost } from '../kit/cache.ts'
import { generateKey, hashesOf, hashKey } from './keys.ts'
import { selectRetiredBy, selectRetiredKeys } from './retired-addresses-store.ts'
import * as store from './store.ts'

export type Keys = Record<store.KeyKind, string>
/** The project and the kind of a key. */
export type ProjectKey = { projectId: string; kind: store.KeyKind }

/** `until` is when it was replaced, in epoch milliseconds; null if it is valid. */
export type DatedKey = ProjectKey & { until: number | null }

export type AdoptedKeys = {
  pingKey?: string | undefined
  badgeKey?: string | undefined
  badgeSecret?: Buffer | undefined
}

export type Projects = ReturnType<typeof createProjects>

const taken = (field: string) => new AppError('conflict', `${field} belongs to another project`, { field })

/** A replaced key is invalid everywhere after this time. Only known keys are cached, so that guessing fills nothing. */
const rememberMs = 4000
const rememberMax = 10_000
const lastKnownMax = 50_000

export function createProjects(options: {
  database: Database
  writeAudit: WriteAudit
  /** Ends the alerts of a project that is being deleted. */
  cancelAlerts: (tx: Queryable, projectId: string, now: number) => Promise<void>
  countCache: (operation: 'get' | 'set' | 'evict', result: 'hit' | 'miss' | 'ok') => void
}) {
  const { database, writeAudit, countCache } = options
  const remembered = new LRUCache<string, ProjectKey>({
    ...atMost(rememberMax),
    ttl: rememberMs,
    // The clock is read each time: otherwise the cache would start a timer for each millisecond.
    ttlResolution: 0,
    perf: { now: database.clock.monotonic },
    dispose: (_key, _name, reason) => {
      if (reason === 'expire' || reason === 'evict') countCache('evict', 'ok')
    },
  })
  const lookups = { hits: 0, misses: 0 }
  /** By the hash of the key. This authenticates nobody. */
  const lastKnown = new LRUCache<string, ProjectKey>(atMost(lastKnownMax))

  /** The project that has or had this badge key. */
  async function ownerOfBadge(tx: Queryable, badgeKey: string): Promise<string | null> {
    const owner = await store.selectProjectByBadgeKey(tx, badgeKey)
    return owner?.id ?? (await selectRetiredBy(tx, 'project_badge', Buffer.from(badgeKey)))
  }

  /** The owner of a key; null if the key is unknown. */
  async function authenticate(key: string): Promise<ProjectKey | null> {
    const hash = hashKey(key)
    const name = hash.toString('base64')
    const known = remembered.get(name)
    if (known !== undefined) {
      lookups.hits++
      countCache('get', 'hit')
      return known
    }
    lookups.misses++
    countCache('get', 'miss')
    const owner = await store.selectKey(database, hash)
    if (owner === null || !timingSafeEqual(owner.hash, hash)) return null
    const found = { projectId: owner.projectId, kind: owner.kind }
    remembered.set(name, found)
    countCache('set', 'ok')
    lastKnown.set(name, found)
    return found
  }

  return {
    authenticate,

    /**
     * The project of a ping key in a mailbox, whose letter case mail servers may have changed; null if there is none.
     */
    async projectOfMailbox(pingKey: string): Promise<string | null> {
      const lower = pingKey.toLowerCase()
      const owner = (await authenticate(pingKey)) ?? (lower === pingKey ? null : await authenticate(lower))
      if (owner !== null) return owner.kind === 'ping_key' ? owner.projectId : null
      return store.selectProjectByMailbox(database, hashKey(lower))
    },

    /** The project whose key had this hash when it was last used; null if the hash is not in memory. Makes no query. */
    lastKnownOwner: (hash: string): string | null => lastKnown.get(hash)?.projectId ?? null,

    /** The part of a key that is kept if its project is resolved later. */
    hashOf: (key: string): string => hashKey(key).toString('base64'),

    /**
     * The owners of the keys with these hashes, also of ping keys that have been replaced. Unknown hashes have no entry.
     */
    async ownersOfKeys(hashes: readonly string[]): Promise<Map<string, DatedKey>> {
      const wanted = hashes.map((hash) => Buffer.from(hash, 'base64'))
      const current = await store.selectKeys(database, wanted)
      const retired = await selectRetiredKeys(database, wanted)
      const owners = new Map<string, DatedKey>()
      for (const { hash, projectId, retiredAt: until } of retired)
        owners.set(hash.toString('base64'), { projectId, kind: 'ping_key', until })
      for (const { hash, projectId, kind } of current)
        owners.set(hash.toString('base64'), { projectId, kind, until: null })
      return owners
    },

    /** Look-ups of keys so far, by whether the database had to be asked. */
    cacheStats: (): { hits: number; misses: number } => ({ ...lookups }),

    async create(by: Actor, name: string): Promise<{ id: string; name: string } & Keys> {
      const id = randomUUID()
      const keys = await database.transaction(async (tx) => {
        await store.insertProject(tx, id, name)
        const made = {} as Keys
        for (const kind of store.keyKinds) {
          made[kind] = generateKey(kind)
          await store.writeKey(tx, id, kind, hashesOf(kind, made[kind]))
        }
        await writeAudit(tx, { ...by, projectId: id, action: 'project.create', target: id, detail: { name } })
        return made
      })
      return { id, name, ...keys }
    },

    list: (limit: number, after: string | undefined) => store.selectProjects(database.prisma, limit, after),

    async rotateKey(by: Actor, id: string, kind: store.KeyKind): Promise<string> {
      const key = generateKey(kind)
      await database.transaction(async (tx) => {
        const kinds = await store.selectKeyKinds(tx, id)
        if (kinds.length === 0) throw new AppError('not_found', 'project not found')
        await store.writeKey(tx, id, kind, hashesOf(kind, key))
        await writeAudit(tx, { ...by, projectId: id, action: 'project.rotate_key', target: id, detail: { kind } })
      })
      return key
    },

    /**
     * Gives a project the keys that it had on another server, so that its addresses keep working. Returns which keys
     * have changed.
     */
    async adoptKeys(by: Actor & { projectId: string }, keys: AdoptedKeys): Promise<string[]> {
      const { projectId: id } = by
      const { pingKey, badgeKey, badgeSecret } = keys
      return database.transaction(async (tx) => {
        const changed: string[] = []
        if (pingKey !== undefined) {
          const hash = hashKey(pingKey)
          const owner = (await store.selectKey(tx, hash))?.projectId ?? (await selectRetiredBy(tx, 'ping_key', hash))
          if (owner !== null && owner !== id) throw taken('ping_key')
          if (await store.writeKey(tx, id, 'ping_key', hashesOf('ping_key', pingKey))) changed.push('ping_key')
        }
        if (badgeKey !== undefined || badgeSecret !== undefined) {
          const owner = badgeKey === undefined ? null : await ownerOfBadge(tx, badgeKey)
          if (owner !== null && owner !== id) throw taken('badge_key')
          if (await store.writeBadgeKeys(tx, id, badgeKey ?? null, badgeSecret ?? null)) changed.push('badge_key')
        }
        if (changed.length > 0)
          await writeAudit(tx, { ...by, action: 'project.adopt_keys', target: id, detail: { changed } })
        return changed
      })
    },

    async remove(by: Actor, id: string): Promise<void> {
      await database.transaction(async (tx) => {
        const name = await store.deleteProject(tx, id)
        if (name === null) throw new AppError('not_found', 'project not found')
        await options.cancelAlerts(tx, id, database.clock.now())
        await writeAudit(tx, { ...by, projectId: id, action: 'project.delete', target: id, detail: { name } })
      })
      remembered.clear()
    },

    /**
     * Makes sure that the `default` project exists with exactly the wanted keys; a missing one is generated. Returns
     * the generated keys, which cannot be shown again.
     */
    async bootstrap(
      wanted: Partial<Keys>,
      announce: (generated: Partial<Keys>) => void | Promise<void>,
    ): Promise<void> {
      await database.transaction(async (tx) => {
        await store.serialiseBootstrap(tx)
        const existing = await store.selectProjectByName(tx, 'default')
        const id = existing ?? randomUUID()
        if (existing === null) {
          await store.insertProject(tx, id, 'default')
          await writeAudit(tx, { actor: 'system', projectId: id, action: 'project.create', target: id })
        }
        const present = await store.selectKeyKinds(tx, id)
        const generated: Partial<Keys> = {}
        for (const kind of store.keyKinds) {
          if (wanted[kind] === undefined && present.includes(kind)) continue
          const key = wanted[kind] ?? generateKey(kind)
          if (wanted[kind] === undefined) generated[kind] = key
          if (!(await store.writeKey(tx, id, kind, hashesOf(kind, key)))) continue
          await writeAudit(tx, {
            actor: 'system',
            projectId: id,
            action: 'project.write_key',
            target: id,
            detail: { kind },
          })
        }
        // Before the commit: keys that cannot be announced would be lost for good.
        if (Object.keys(generated).length > 0) await announce(generated)
      })
    },
  }
}
