// Whom a message is for, found out while its envelope is told: of what comes for nobody nothing needs to be kept, and of a message to a
// check only what its filters look at needs to be read.

import { isDatabaseAway } from '../core/availability.ts'
import type { Located, SlugAddress } from '../monitors/slugs.ts'
import type { MailFilters } from '../monitors/store.ts'
import type { Recipient } from './protocols/healthchecks.ts'

export type MailRecipientsOptions = {
  /** Whose ping key this is, as mail servers may have written it; null if nobody's. */
  projectOf: (pingKey: string) => Promise<string | null>
  locate: (addresses: readonly SlugAddress[]) => Promise<readonly Located[]>
  /** Of those that there are. */
  mailFilters: (ids: readonly string[]) => Promise<readonly MailFilters[]>
  /** Whether heartbeats are taken for checks that nobody can look up just now. */
  canWait: boolean
}

export type MailRecipients = ReturnType<typeof createMailRecipients>

const noFilters = { filterSubject: false, filterBody: false }
/** Until somebody can tell, any filter may be on. */
const anyFilters = { filterSubject: true, filterBody: true }

export function createMailRecipients({ projectOf, locate, mailFilters, canWait }: MailRecipientsOptions) {
  return {
    /** The id of the check; why there is none. Rejects where it cannot be told, and the message has to come again. */
    async find(to: Recipient, requestId: string, address: string): Promise<{ id: string } | 'unknown' | 'ambiguous'> {
      if ('monitorId' in to) {
        try {
          return (await mailFilters([to.monitorId])).length > 0 ? { id: to.monitorId } : 'unknown'
        } catch (error) {
          if (canWait && isDatabaseAway(error)) return { id: to.monitorId }
          throw error
        }
      }
      const projectId = await projectOf(to.pingKey)
      if (projectId === null) return 'unknown'
      const [located = 'unknown'] = await locate([{ projectId, slug: to.slug, create: false, requestId, address }])
      if (typeof located === 'string') return located
      // A refusal is for what would be made, and mail makes nothing.
      return 'quota' in located ? 'unknown' : { id: located.id }
    },

    /** What each of these checks looks at, by its id, now that its message is there. */
    async filtersOf(ids: readonly string[]): Promise<ReadonlyMap<string, Omit<MailFilters, 'id'>>> {
      try {
        const found = new Map((await mailFilters(ids)).map(({ id, ...filters }) => [id, filters]))
        return new Map(ids.map((id) => [id, found.get(id) ?? noFilters]))
      } catch (error) {
        if (!canWait || !isDatabaseAway(error)) throw error
        return new Map(ids.map((id) => [id, anyFilters]))
      }
    },
  }
}
