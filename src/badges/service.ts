import { selectBadgeProject, selectProjectByBadgeKey } from '../accounts/store.ts'
import { selectCheckByBadgeKey } from '../checks/listing-store.ts'
import type { Checks } from '../checks/service.ts'
import type { Database } from '../database/service.ts'
import { type BadgeUrls, badgeUrls, type Format, isSigned, type Wanted } from './addresses.ts'
import { add, type Counts, nothing, render } from './summary.ts'

type Summary = { all: Counts; byTag: ReadonlyMap<string, Counts> }

export type Badge = { type: string; body: string }

export type Badges = ReturnType<typeof createBadges>

export function createBadges(options: {
  database: Database
  checks: Pick<Checks, 'readings' | 'reading' | 'uniqueKey'>
  siteUrl: () => string
  /** The label of the badge of all checks. */
  label: string
}) {
  const { database, checks, siteUrl, label } = options
  const underWay = new Map<string, Promise<Summary>>()

  /** Anybody may request badges, as often as they like: simultaneous requests for one project share the work. */
  function summaryOf(projectId: string): Promise<Summary> {
    const known = underWay.get(projectId)
    if (known) return known
    const summary = summarise(projectId).finally(() => underWay.delete(projectId))
    underWay.set(projectId, summary)
    return summary
  }

  async function summarise(projectId: string): Promise<Summary> {
    let all = nothing
    const byTag = new Map<string, Counts>()
    for await (const page of checks.readings(projectId)) {
      for (const { tags, status } of page) {
        all = add(all, status)
        for (const tag of new Set(tags)) byTag.set(tag, add(byTag.get(tag) ?? nothing, status))
      }
    }
    return { all, byTag }
  }

  return {
    /** The addresses of all badges of a project, by tag; `*` is the badge of all checks. */
    async list(projectId: string): Promise<Record<string, BadgeUrls>> {
      const project = await selectBadgeProject(database, projectId)
      if (project === null) return {}
      const { byTag } = await summaryOf(projectId)
      const tags = [...byTag.keys()].filter((tag) => tag !== '*').sort()
      const base = siteUrl()
      // As entries, because a tag may be called __proto__.
      return Object.fromEntries([
        ['*', badgeUrls(base, project, null)],
        ...tags.map((tag) => [tag, badgeUrls(base, project, tag)] as const),
      ])
    },

    /** Null for an unknown key or a wrong signature. A tag that no check has any more is up. */
    async project(badgeKey: string, wanted: Wanted): Promise<Badge | null> {
      const project = await selectProjectByBadgeKey(database, badgeKey)
      if (project === null || !isSigned(project, wanted)) return null
      const { tag } = wanted
      const { all, byTag } = await summaryOf(project.id)
      return render(tag ?? label, tag === null ? all : (byTag.get(tag) ?? nothing), wanted)
    },

    /**
     * Badges are public, so a check without a name is labelled with its slug or its unique key, while Healthchecks
     * shows the uuid.
     */
    async check(badgeKey: string, wanted: { withLate: boolean; format: Format }): Promise<Badge | null> {
      const check = await selectCheckByBadgeKey(database, badgeKey)
      if (check === null) return null
      const { name, slug, status } = await checks.reading(check.projectId, check.id)
      return render(name || slug || checks.uniqueKey(check.id), add(nothing, status), wanted)
    },
  }
}
