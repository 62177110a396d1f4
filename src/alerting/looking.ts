// The link to a check in a message: it shows the status of the check, without a key, and can change nothing.

import type { CheckDocument } from '../checks/document.ts'
import { AppError } from '../core/errors.ts'
import type { Database } from '../database/service.ts'
import { selectAttended } from './attention-store.ts'
import { createCheckLinks } from './check-links.ts'
import type { Encryption } from './encryption.ts'
import * as store from './looking-store.ts'

const pingsShown = 10

export type Look = { check: CheckDocument; project: string; since: store.LatestFlip | null; pings: store.SeenPing[] }

export type Looking = ReturnType<typeof createLooking>

export function createLooking(options: {
  database: Database
  encryption: Encryption
  checkDocuments: (checks: readonly { projectId: string; id: string }[]) => Promise<(CheckDocument | null)[]>
  siteUrl: () => string
  now: () => number
}) {
  const { database, checkDocuments, siteUrl } = options
  const links = createCheckLinks({ ...options, purpose: 'link to a check' })

  return {
    link: (checkId: string) => `${siteUrl()}/checks/${links.seal(checkId)}`,

    async look(token: string): Promise<Look> {
      const { checkId: id } = links.open(token)
      const found = await selectAttended(database, null, id)
      const [check = null] = found === null ? [] : await checkDocuments([{ projectId: found.projectId, id }])
      if (found === null || check === null) throw new AppError('not_found', 'check not found')
      const [since, pings] = await Promise.all([
        store.selectLatestFlip(database, id),
        store.selectSeenPings(database, id, pingsShown),
      ])
      return { check, project: found.project, since, pings }
    },
  }
}
