// Looks up the recipients of a message while its envelope is received: a message without a check is not kept, and of
// other messages only the parts that the filters need are read.

import type { Located, SlugAddress } from '../../../checks/slugs.ts'
import type { MailFilters } from '../../../checks/store.ts'
import { isDatabaseAway } from '../../../kit/availability.ts'
import type { PingRecipient } from '../healthchecks/ping-address.ts'

export type MailRecipientsOptions = {
  /** The project of a ping key in the spelling of a mail server; null if there is none. */
  projectOf: (pingKey: string) => Promise<string | null>
  locate: (addresses: readonly SlugAddress[]) => Promise<readonly Located[]>
  /** The filters of those checks that exist. */
  mailFilters: (ids: readonly string[]) => Promise<readonly MailFilters[]>
  /** Whether heartbeats are accepted for checks that cannot be looked up now. */
  canWait: boolean
}

export type MailRecipients = ReturnType<typeof createMailRecipients>

const noFilters = { filterSubject: false, filterBody: false }
/** While checks cannot be looked up, any filter may be on. */
const anyFilters = { filterSubject: true, filterBody: true }

export function createMailRecipients({ projectOf, locate, mailFilters, canWait }: MailRecipientsOptions) {
  return {
    /**
     * The id of the check, or why there is none. Rejects if the check cannot be looked up; then the message has to be
     * sent again.
     */
    async find(
      to: PingRecipient,
      requestId: string,
      address: string,
    ): Promise<{ id: string } | 'unknown' | 'ambiguous'> {
      if ('checkId' in to) {
        try {
          return (await mailFilters([to.checkId])).length > 0 ? { id: to.checkId } : 'unknown'
        } catch (error) {
          if (canWait && isDatabaseAway(error)) return { id: to.checkId }
          throw error
        }
      }
      const projectId = await projectOf(to.pingKey)
      if (projectId === null) return 'unknown'
      const [located = 'unknown'] = await locate([{ projectId, slug: to.slug, create: false, requestId, address }])
      if (typeof located === 'string') return located
      // A quota refuses the creation of checks, and mail creates none.
      return 'quota' in located ? 'unknown' : { id: located.id }
    },

    /** The filters of each check, by its id, looked up when its message has arrived. */
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
