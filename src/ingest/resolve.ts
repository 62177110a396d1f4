// Finds the check of each heartbeat of a batch. A heartbeat by uuid names its check; for all others one look-up of each
// kind answers for the whole batch.

import type { DatedKey } from '../accounts/service.ts'
import type { Checks } from '../checks/service.ts'
import { type ByCheck, type Outcome, type ProjectRef, projectRefOf, type Received, type Target } from './signal.ts'

/** Null for a project whose key is not known, or does not allow this. */
type ProjectOf = (received: Received) => string | null

/** The projects and kinds of the keys with these hashes, and until when they were valid; unknown hashes have no entry. */
export type OwnersOfKeys = (hashes: readonly string[]) => Promise<ReadonlyMap<string, DatedKey>>

/** The heartbeats that have a check, which of them created it, and why the others have none. */
export type Resolved = { byCheck: ByCheck; isCreator: (received: Received) => boolean; outcomes: Map<string, Outcome> }

export type Resolver = ReturnType<typeof createResolver>

export function createResolver({
  checks,
  ownersOfKeys,
  onToken,
}: {
  checks: Pick<Checks, 'locate' | 'locateTokens' | 'owned'>
  ownersOfKeys: OwnersOfKeys
  /** Called for each token of a check, with the project of the check. */
  onToken: (token: string, projectId: string) => void
}) {
  /** A retried batch finds the check that its first attempt created. */
  const creators = new WeakSet<Received>()
  const isCreator = (received: Received) => creators.has(received)

  /** A key counts as it was when the heartbeat was accepted. */
  async function findProjects(entries: readonly Received[]): Promise<ProjectOf> {
    const refs = entries.flatMap(({ target }) => projectRefOf(target) ?? [])
    const hashes = new Set(refs.flatMap((ref) => ('keyHash' in ref ? [ref.keyHash] : [])))
    const owners = hashes.size === 0 ? new Map<string, DatedKey>() : await ownersOfKeys([...hashes])
    return ({ target, acceptedAt }) => {
      const ref = projectRefOf(target) as ProjectRef
      if ('id' in ref) return ref.id
      const owner = owners.get(ref.keyHash)
      if (owner === undefined || !ref.kinds.includes(owner.kind)) return null
      return owner.until !== null && acceptedAt >= owner.until ? null : owner.projectId
    }
  }

  async function locateSlugs(entries: readonly Received[], projectOf: ProjectOf, found: ResolvedChecks): Promise<void> {
    const bySlug = entries.flatMap((received) => {
      const { target, requestId, sender } = received
      const projectId = target.by === 'slug' ? projectOf(received) : null
      if (target.by !== 'slug' || projectId === null) return []
      const { slug, create } = target
      return [{ received, address: { projectId, slug, create, requestId, address: sender.address } }]
    })
    if (bySlug.length === 0) return
    const located = await checks.locate(bySlug.map(({ address }) => address))
    for (const [i, { received }] of bySlug.entries()) {
      const one = located[i] ?? 'unknown'
      if (typeof one === 'string' || 'quota' in one) found.outcomes.set(received.id, one)
      else {
        found.checkIds.set(received, one.id)
        if (one.created) creators.add(received)
      }
    }
  }

  /** Uploads by uuid count only for checks of their uploaders' projects. */
  async function findOwned(entries: readonly Received[], projectOf: ProjectOf, found: ResolvedChecks): Promise<void> {
    const byId = entries.filter(({ target }) => target.by === 'id')
    for (const [projectId, uploaded] of Map.groupBy(byId, projectOf)) {
      if (projectId === null) continue
      const ids = [...new Set(uploaded.map(({ target }) => checkIdOf(target)))]
      const owned = await checks.owned(projectId, ids)
      for (const received of uploaded) {
        const checkId = checkIdOf(received.target)
        if (owned.has(checkId)) found.checkIds.set(received, checkId)
      }
    }
  }

  /** A paused check has no push address; what was acknowledged counts nevertheless. */
  async function locateTokens(entries: readonly Received[], found: ResolvedChecks): Promise<void> {
    const byToken = entries.flatMap((received) =>
      received.target.by === 'token' ? [{ received, token: received.target.token }] : [],
    )
    if (byToken.length === 0) return
    const located = await checks.locateTokens([...new Set(byToken.map(({ token }) => token))])
    for (const { received, token } of byToken) {
      const check = located.get(token)
      if (check === undefined || (check.isPaused && !received.isAcknowledged)) continue
      found.checkIds.set(received, check.id)
      onToken(token, check.projectId)
    }
  }

  return async function resolve(entries: readonly Received[]): Promise<Resolved> {
    const found: ResolvedChecks = { checkIds: new Map(), outcomes: new Map() }
    const indirect = entries.filter(({ target }) => projectRefOf(target) !== null)
    await locateTokens(entries, found)
    if (indirect.length > 0) {
      const projectOf = await findProjects(indirect)
      await locateSlugs(indirect, projectOf, found)
      await findOwned(indirect, projectOf, found)
    }
    const byCheck = new Map<string, Received[]>()
    for (const received of entries) {
      const { target, id } = received
      const isDirect = target.by === 'id' && target.within === null
      const checkId = isDirect ? target.checkId : found.checkIds.get(received)
      if (checkId === undefined) {
        if (!found.outcomes.has(id)) found.outcomes.set(id, 'unknown')
        continue
      }
      const others = byCheck.get(checkId)
      if (others) others.push(received)
      else byCheck.set(checkId, [received])
    }
    return { byCheck, isCreator, outcomes: found.outcomes }
  }
}

type ResolvedChecks = { checkIds: Map<Received, string>; outcomes: Map<string, Outcome> }

const checkIdOf = (target: Target): string => (target.by === 'id' ? target.checkId : '')
