// The limits of each project. The operator sets the defaults and the largest values in the configuration, and other
// values for one project by the API. A quota limits only additions: nothing that exists is removed, and no heartbeat of
// an existing check is refused.

import { LRUCache } from 'lru-cache'
import type { Actor, WriteAudit } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { Database } from '../database/service.ts'
import { atMost } from '../kit/cache.ts'
import { isoMillis } from '../kit/instant.ts'
import {
  type Quota,
  type QuotaName,
  type QuotaRefusal,
  type QuotaSetting,
  quotaError,
  quotaNames,
  refusalOf,
  settingOf,
} from './limits.ts'
import * as store from './store.ts'

/** Defaults, and under `…Max` the largest values for a project. */
export type QuotaConfig = Readonly<Record<QuotaSetting | `${QuotaSetting}Max`, number>>

/** `used` is absent if usage is not counted by project. */
export type QuotaDocument = Record<QuotaName, { limit: number; used?: number }>

export type ProjectDocument = { id: string; name: string; created: string; quota: QuotaDocument }

/** A change: null restores the default of a value. */
export type QuotaChange = Partial<Record<QuotaName, number | null>>

export type Quotas = ReturnType<typeof createQuotas>

/**
 * Counting many checks takes long, so a count is reused for this many times as long as it took, unless the limit is
 * near.
 */
const reuseFactor = 100
const nearShare = 0.9
const countedMax = 10_000
const knownMax = 10_000
/** Up to this limit checks are counted each time. */
const fewChecks = 1000

export function createQuotas(options: {
  database: Pick<Database, 'query' | 'transaction' | 'clock'>
  writeAudit: WriteAudit
  config: QuotaConfig
}) {
  const { database, writeAudit, config } = options
  const { clock } = database
  const counted = new LRUCache<string, { checks: number; until: number }>(atMost(countedMax))
  const defaults = quotaOf({})
  let known: ReadonlyMap<string, store.OwnQuota> = new Map()

  function quotaOf(own: store.OwnQuota): Quota {
    const entries = quotaNames.map((name): [QuotaName, number] => {
      const setting = settingOf[name]
      return [name, Math.min(own[name] ?? config[setting], config[`${setting}Max`])]
    })
    return Object.fromEntries(entries) as Quota
  }

  async function of(on: Queryable, projectId: string): Promise<Quota> {
    return quotaOf((await store.selectOwnQuota(on, projectId)) ?? {})
  }

  /** How many more checks a project may have, at most `wanted`. `lock` prevents others from adding checks meanwhile. */
  async function roomForChecks(
    tx: Queryable,
    projectId: string,
    { limit, wanted, lock }: { limit: number; wanted: number; lock: () => Promise<void> },
  ): Promise<number> {
    const count = counted.get(projectId)
    if (count && count.until > clock.monotonic() && count.checks + wanted < limit * nearShare) {
      count.checks += wanted
      return wanted
    }
    await lock()
    const began = clock.monotonic()
    const checks = await store.countChecks(tx, projectId, limit)
    const room = Math.max(0, Math.min(wanted, limit - checks))
    const now = clock.monotonic()
    if (limit > fewChecks) counted.set(projectId, { checks: checks + room, until: now + (now - began) * reuseFactor })
    return room
  }

  async function documentOf(projectId: string): Promise<QuotaDocument> {
    const quota = await of(database, projectId)
    const [checks, channels, { created }, bodyBytes] = await Promise.all([
      store.countChecks(database, projectId, Number.MAX_SAFE_INTEGER),
      store.countChannels(database, projectId, Number.MAX_SAFE_INTEGER),
      store.selectProvisioned(database, projectId),
      store.selectBodyBytes(database, projectId),
    ])
    const used: Partial<Quota> = { checks, channels, new_checks_per_hour: created, body_bytes: bodyBytes }
    const entries = quotaNames.map((name) => {
      return [name, { limit: quota[name], ...(used[name] !== undefined && { used: used[name] }) }]
    })
    return Object.fromEntries(entries)
  }

  async function project(projectId: string): Promise<ProjectDocument> {
    const found = await store.selectProject(database, projectId)
    if (found === null) throw new AppError('not_found', 'project not found')
    const { name, createdAt } = found
    return { id: projectId, name, created: isoMillis(createdAt), quota: await documentOf(projectId) }
  }

  return {
    defaults,
    of,
    document: documentOf,

    /** The quota as last read, for callers that cannot query the database. */
    lastKnown(projectId: string): Quota {
      const own = known.get(projectId)
      return own === undefined ? defaults : quotaOf(own)
    },

    async refresh(): Promise<void> {
      known = await store.selectAllOwn(database, knownMax)
    },

    /** The quotas of those projects that exist. */
    async ofMany(on: Queryable, projectIds: readonly string[]): Promise<Map<string, Quota>> {
      if (projectIds.length === 0) return new Map()
      const all = await store.selectOwnQuotas(on, projectIds)
      return new Map([...all].map(([id, own]) => [id, quotaOf(own)]))
    },

    project,

    /**
     * Throws unless the project may have another check. `lock` is called, before any row is locked, if others must be
     * prevented from adding one meanwhile.
     */
    async admitCheck(tx: Queryable, projectId: string, lock: () => Promise<void>): Promise<void> {
      const { checks: limit } = await of(tx, projectId)
      if ((await roomForChecks(tx, projectId, { limit, wanted: 1, lock })) === 0)
        throw quotaError(refusalOf('checks', limit))
    },

    /** Throws unless the project may have another channel. */
    async admitChannel(tx: Queryable, projectId: string): Promise<void> {
      const { channels } = await of(tx, projectId)
      await store.serialiseChannels(tx, projectId)
      if ((await store.countChannels(tx, projectId, channels)) >= channels)
        throw quotaError(refusalOf('channels', channels))
    },

    /**
     * How many of the `wanted` checks may be created with the ping key. They count as created from now on; `refusal` is
     * for the others. The caller holds the project's lock.
     */
    async admitProvisioned(
      tx: Queryable,
      projectId: string,
      wanted: number,
    ): Promise<{ admitted: number; refusal: QuotaRefusal }> {
      const { checks, new_checks_per_hour: perHour } = await of(tx, projectId)
      const { created, leftS } = await store.selectProvisioned(tx, projectId)
      const thisHour = Math.max(0, Math.min(wanted, perHour - created))
      const admitted =
        thisHour === 0
          ? 0
          : await roomForChecks(tx, projectId, { limit: checks, wanted: thisHour, lock: async () => {} })
      if (admitted > 0) await store.countProvisioned(tx, projectId, admitted)
      const isFull = admitted < thisHour
      const refusal = isFull
        ? refusalOf('checks', checks)
        : refusalOf('new_checks_per_hour', perHour, Math.max(1, leftS))
      return { admitted, refusal }
    },

    /** Values that are not named stay. Throws `bad_request` for a value beyond the maximum in the configuration. */
    async set(by: Actor, projectId: string, change: QuotaChange): Promise<ProjectDocument> {
      for (const [name, value] of Object.entries(change) as [QuotaName, number | null][]) {
        const max = config[`${settingOf[name]}Max`]
        if (value !== null && value > max)
          throw new AppError('bad_request', `quota.${name} must not be more than ${max}`, { field: `quota.${name}` })
      }
      await database.transaction(async (tx) => {
        const locked = await store.lockQuota(tx, projectId)
        if (locked === null) throw new AppError('not_found', 'project not found')
        const before = locked.quota
        const merged = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null)
        const after: store.OwnQuota = Object.fromEntries(merged)
        await store.writeOwnQuota(tx, projectId, after)
        const entry = { projectId, action: 'project.quota', target: projectId, detail: { before, after } }
        await writeAudit(tx, { ...by, ...entry })
      })
      counted.delete(projectId)
      known = await store.selectAllOwn(database, knownMax)
      return project(projectId)
    },
  }
}
